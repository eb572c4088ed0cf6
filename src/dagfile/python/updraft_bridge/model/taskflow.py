"""`@task`, `@task_group`: functions whose call makes a task or a group."""

import functools
import inspect

from .. import notes
from . import stack
from .exceptions import ComesLater
from .operator import BaseOperator
from .operators import PythonOperator
from .task_group import TaskGroup
from .xcom_arg import XComArg


class DecoratedOperator(PythonOperator):
    """The task that a call of a `@task` function makes."""

    @property
    def task_type(self):
        return "@task" if self.kind == "python" else "@task." + self.kind

    operator_name = task_type
    kind = "python"

    def __init__(self, kind="python", **kwargs):
        self.kind = kind
        super().__init__(show_return_value_in_logs=kwargs.pop("show_return_value_in_logs", True), **kwargs)


class TaskFunction:
    """A function decorated with `@task`; a call inside a DAG makes a task and gives its output."""

    def __init__(self, function, kind, arguments):
        self.function, self.kind, self.arguments = function, kind, arguments
        functools.update_wrapper(self, function)

    def __call__(self, *args, **kwargs):
        return self._make(args, kwargs).output

    def _make(self, args, kwargs):
        self._check_call(args, kwargs)
        arguments = dict(self.arguments)
        dag = arguments.get("dag") or stack.current_dag()
        group = arguments.get("task_group") or (stack.current_group(dag) if dag else None)
        wanted = arguments.pop("task_id", None) or self.function.__name__
        if arguments.get("multiple_outputs") is None:
            arguments["multiple_outputs"] = returns_mapping(self.function)
        if arguments.get("doc_md") is None and self.function.__doc__:
            arguments["doc_md"] = inspect.cleandoc(self.function.__doc__)
        task = DecoratedOperator(
            kind=self.kind, task_id=unique_id(wanted, dag, group), python_callable=self.function,
            op_args=list(args), op_kwargs=kwargs, **arguments
        )
        if self.kind not in ("python", "setup", "teardown"):
            task.comes_later = "@task.%s" % self.kind
        return task

    def _check_call(self, args, kwargs):
        """A wrong call is best said where it is written, not when the task runs."""
        signature = inspect.signature(self.function)
        # Parameters without a default may be filled from the context, so only the given ones are bound.
        signature.bind_partial(*args, **kwargs)

    def override(self, **arguments):
        return TaskFunction(self.function, self.kind, dict(self.arguments, **arguments))

    def partial(self, **kwargs):
        return PartialFunction(self, kwargs)

    def expand(self, **mapped):
        return PartialFunction(self, {}).expand(**mapped)

    def expand_kwargs(self, kwargs, strict=True):
        return PartialFunction(self, {}).expand_kwargs(kwargs)


class PartialFunction:
    """`f.partial(...)`, waiting for `.expand(...)`."""

    def __init__(self, task_function, kwargs):
        self.task_function, self.kwargs = task_function, kwargs

    def expand(self, **mapped):
        return self._later(dict(self.kwargs, **mapped), "dynamic task mapping (`expand`)")

    def expand_kwargs(self, kwargs, strict=True):
        task = self._later(dict(self.kwargs), "dynamic task mapping (`expand_kwargs`)").operator
        for upstream in [kwargs] if isinstance(kwargs, XComArg) else []:
            task.set_upstream(upstream)
        return task.output

    def _later(self, kwargs, what):
        task = self.task_function._make((), kwargs)
        task.comes_later = what
        return task.output


def unique_id(wanted, dag, group):
    """`f`, then `f__1`, `f__2`: a function called twice makes two tasks."""
    if dag is None:
        return wanted
    def full(label):
        return group.child_id(label) if group is not None else label

    label, n = wanted, 0
    while dag.has_task(full(label)):
        n += 1
        label = "%s__%d" % (wanted, n)
    return label


def returns_mapping(function):
    """Airflow pushes the items of a result one by one when the function says that it returns a dict."""
    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        return annotation.startswith(("dict", "Dict", "typing.Dict", "Mapping"))
    origin = getattr(annotation, "__origin__", annotation)
    return isinstance(origin, type) and issubclass(origin, dict)


class TaskDecorator:
    """`task` itself: `@task`, `@task(...)`, and `@task.<kind>` for each kind."""

    KINDS = (
        "python", "bash", "branch", "short_circuit", "virtualenv", "external_python", "branch_virtualenv",
        "branch_external_python", "sensor", "skip_if", "run_if", "stub", "kubernetes", "docker", "pyspark",
    )

    def __init__(self, kind="python"):
        self._kind = kind

    def __call__(self, function=None, **arguments):
        if function is None:
            return lambda f: self(f, **arguments)
        if isinstance(function, TaskFunction):
            return TaskFunction(function.function, function.kind, dict(function.arguments, **arguments))
        if not callable(function):
            raise TypeError("@task takes only keyword arguments, got: %r" % (function,))
        python_callable = arguments.pop("python_callable", None)
        return TaskFunction(python_callable or function, self._kind, arguments)

    def __getattr__(self, kind):
        if kind.startswith("__"):
            raise AttributeError(kind)
        if kind not in self.KINDS:
            meant = notes.did_you_mean(kind, self.KINDS)
            raise AttributeError("there is no decorator @task.%s%s" % (kind, "; " + meant if meant else ""))
        return TaskDecorator(kind)


task = TaskDecorator()


def setup(function=None, **arguments):
    notes.warn("setup and teardown tasks are ordinary tasks for now", once=("later", "setup"))
    return task(function, **arguments)


def teardown(function=None, **arguments):
    arguments.pop("setups", None)
    arguments.pop("on_failure_fail_dagrun", None)
    return setup(function, **arguments)


def task_group(group_id=None, **arguments):
    """`@task_group`: the function's tasks stand in a group named after it."""

    def decorate(function):
        @functools.wraps(function)
        def factory(*args, **kwargs):
            dag = stack.current_dag()
            wanted = arguments.get("group_id") or (group_id if isinstance(group_id, str) else function.__name__)
            rest = {k: v for k, v in arguments.items() if k != "group_id"}
            label, n = wanted, 0
            parent = stack.current_group(dag) if dag else None
            while dag is not None and (parent.child_id(label) if parent else label) in dag.task_groups:
                n += 1
                label = "%s__%d" % (wanted, n)
            with TaskGroup(label, **rest) as group:
                result = function(*args, **kwargs)
            return result if isinstance(result, (XComArg, BaseOperator)) else group

        def later(*args, **kwargs):
            raise ComesLater("a task group cannot be expanded yet")

        factory.expand = factory.expand_kwargs = factory.partial = later
        return factory

    if callable(group_id):
        function, group_id = group_id, None
        return decorate(function)
    return decorate
