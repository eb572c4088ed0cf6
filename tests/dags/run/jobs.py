"""Functions for `module:function` tasks."""


def add(a, b, run_id):
    return {"sum": a + b, "run": run_id}


class Jobs:
    @staticmethod
    def one():
        return 1
