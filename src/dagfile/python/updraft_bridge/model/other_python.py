"""What another interpreter does with a function: `other_python.py ASKED ANSWERED`, two files of JSON.

It is never imported by that interpreter, only run, and has to be understood by
old ones: nothing here is newer than Python 3.6.
"""

import json
import linecache
import sys


def main(asked, answered):
    with open(asked, encoding="utf-8") as file:
        request = json.load(file)
    # Nothing is to be imported from where this stands.
    del sys.path[0]
    sys.argv[:] = [request["name"]]
    lend_airflow(request["bridge"])
    status = 0
    try:
        value = call(request)
    except SystemExit:
        # Whoever leaves by himself has said all.
        raise
    except BaseException as error:
        if type(error).__name__ != "AirflowSkipException":
            report(error)
        answer, status = {"error": type(error).__name__, "message": str(error)}, 1
    else:
        try:
            answer = {"value": value}
            json.dumps(answer, allow_nan=False)
        except (TypeError, ValueError) as error:
            answer = {"not_json": "%s (%s)" % (type(value).__name__, error)}
    with open(answered, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    return status


def call(request):
    if "pickled" in request:
        import base64
        import pickle

        args, kwargs = pickle.loads(base64.b64decode(request["pickled"]))
    else:
        args, kwargs = request["arguments"]
    # A traceback shows the lines of the DAG file, where they stand there.
    source = "\n" * (request["line"] - 1) + request["source"]
    linecache.cache[request["file"]] = (len(source), None, source.splitlines(True), request["file"])
    names = {"__name__": "__main__", "__file__": request["file"], "virtualenv_string_args": request["string_args"]}
    exec(compile(source, request["file"], "exec", dont_inherit=True), names)
    return names[request["name"]](*args, **kwargs)


def report(error):
    """The traceback without our own frames."""
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.stdout.flush()
    text = "".join(traceback.format_exception(type(error), error, trace or error.__traceback__)).rstrip("\n")
    # One block of the task's log (`task_log.py`).
    sys.stderr.write("\x1eERROR\x1fstderr\x1f" + text.replace("\n", "\n\x1e\x1e") + "\n")
    sys.stderr.flush()


def lend_airflow(bridge):
    """Where no Airflow is installed, a function may still raise `AirflowSkipException`."""
    try:
        import importlib.util

        if sys.version_info >= (3, 9) and importlib.util.find_spec("airflow") is None:
            sys.path.append(bridge)
            from updraft_bridge import finder

            finder.install()
    except Exception:
        # Then it has none.
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
