"""`@task.run_if` and `@task.skip_if`: a question that is asked before a task's work, and `@task.stub`."""

from .exceptions import AirflowFailException, AirflowSkipException
from .taskflow import DecoratedOperator, TaskFunction


def decorate(condition, runs_if, skip_message=None):
    """A decorator over a `@task` function: what it makes is skipped where the answer is the wrong one."""

    def apply(function):
        if not isinstance(function, TaskFunction):
            raise TypeError("@task.%s stands above a @task decorator, not above the function itself"
                            % ("run_if" if runs_if else "skip_if"))
        earlier = function.arguments.get("pre_execute")

        def ask(context):
            # The innermost is asked last, as the lines read from above.
            answer = condition(context)
            message = skip_message
            if isinstance(answer, tuple):
                answer, message = answer[0], answer[1] or skip_message
            if bool(answer) is not runs_if:
                raise AirflowSkipException(message or "Task is skipped by a @task.%s decorator"
                                           % ("run_if" if runs_if else "skip_if"))
            if earlier is not None:
                earlier(context)

        return function._again({"pre_execute": ask})

    return apply


class StubDecorated(DecoratedOperator):
    """`@task.stub`: the place in the graph of a task that another language's code does."""

    def execute(self, context):
        raise AirflowFailException("task `%s` is a stub: its work belongs to code of another language, of which Updraft "
                                   "knows nothing" % self.task_id)
