"""`@task`, `@task_group`: functions whose call makes a task or a group."""

import functools
import inspect

from .. import notes
from . import setup_teardown, stack
from .mapped import MappedArgument, MappedOperator, by_argument, by_kwargs
from .operator import BaseOperator
from .branching import BranchPythonOperator, ShortCircuitOperator
from .operators import PythonOperator
from .signature import annotations, signature
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


class BranchDecorated(DecoratedOperator, BranchPythonOperator):
    """`@task.branch`."""


class ShortCircuitDecorated(DecoratedOperator, ShortCircuitOperator):
    """`@task.short_circuit`."""


CLASSES = {"python": DecoratedOperator, "branch": BranchDecorated, "short_circuit": ShortCircuitDecorated}

# Kinds that most files do not have: kind -> module and class, loaded when one is met.
MORE_CLASSES = {
    "sensor": ("sensors", "DecoratedSensor"),
    "bash": ("bash_task", "BashDecorated"),
    "stub": ("conditional", "StubDecorated"),
    "virtualenv": ("virtualenv", "VirtualenvDecorated"),
    "external_python": ("virtualenv", "ExternalPythonDecorated"),
    "branch_virtualenv": ("virtualenv", "BranchVirtualenvDecorated"),
    "branch_external_python": ("virtualenv", "BranchExternalPythonDecorated"),
}

# Kinds of provider packages, and what to install for them.
OF_PROVIDERS = {
    "kubernetes": "apache-airflow-providers-cncf-kubernetes", "docker": "apache-airflow-providers-docker",
    "pyspark": "apache-airflow-providers-apache-spark", "snowpark": "apache-airflow-providers-snowflake",
}


def class_of(kind):
    if kind in MORE_CLASSES:
        import importlib

        module, name = MORE_CLASSES[kind]
        return getattr(importlib.import_module("." + module, __package__), name)
    return CLASSES.get(kind, DecoratedOperator)


class TaskFunction:
    """A function decorated with `@task`; a call inside a DAG makes a task and gives its output."""

    def __init__(self, function, kind, arguments):
        self.function, self.kind, self.arguments = function, kind, arguments
        # What `@setup` and `@teardown` make of its tasks.
        self.role = None
        functools.update_wrapper(self, function)

    def __call__(self, *args, **kwargs):
        return self._make(args, kwargs).output

    def _make(self, args, kwargs):
        self._check_call(args, kwargs)
        task = class_of(self.kind)(
            kind=self.kind, python_callable=self.function, op_args=list(args), op_kwargs=kwargs, **self._arguments()
        )
        self._mark_later(task)
        return task

    def _arguments(self):
        """The arguments of the task that a call makes, its id among them."""
        arguments = dict(self.arguments)
        dag = arguments.get("dag") or stack.current_dag()
        group = arguments.get("task_group") or (stack.current_group(dag) if dag else None)
        wanted = arguments.pop("task_id", None) or self.function.__name__
        if arguments.get("multiple_outputs") is None:
            arguments["multiple_outputs"] = returns_mapping(self.function)
        if arguments.get("doc_md") is None and self.function.__doc__:
            arguments["doc_md"] = inspect.cleandoc(self.function.__doc__)
        arguments["task_id"] = unique_id(wanted, dag, group)
        return arguments

    def _mark_later(self, task):
        if self.kind in OF_PROVIDERS:
            from .. import providers

            task.comes_later, task.why = "@task.%s" % self.kind, providers.why(OF_PROVIDERS[self.kind])
        elif self.kind not in CLASSES and self.kind not in MORE_CLASSES:
            task.comes_later = "@task.%s" % self.kind
        if self.role is not None:
            self.role(task)

    def _check_call(self, args, kwargs):
        """A wrong call is best said where it is written, not when the task runs."""
        # Parameters without a default may be filled from the context, so only the given ones are bound.
        signature(self.function).bind_partial(*args, **kwargs)

    def override(self, **arguments):
        return self._again(arguments)

    def _again(self, arguments):
        other = TaskFunction(self.function, self.kind, dict(self.arguments, **arguments))
        other.role = self.role
        return other

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
        return self._mapped(by_argument("expand() of `%s`" % self._name, mapped), mapped)

    def expand_kwargs(self, kwargs, strict=True):
        return self._mapped(by_kwargs("expand_kwargs() of `%s`" % self._name, kwargs), {})

    @property
    def _name(self):
        return self.task_function.function.__name__

    def _mapped(self, expansion, mapped):
        self.task_function._check_call((), dict(self.kwargs, **mapped))
        arguments = self.task_function._arguments()
        kwargs = dict(arguments, kind=self.task_function.kind, python_callable=self.task_function.function,
                      op_kwargs=dict(self.kwargs))
        mapped_class = class_of(self.task_function.kind)
        task = MappedOperator.make(mapped_class, kwargs, expansion, into_op_kwargs=True)
        self.task_function._mark_later(task)
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
    annotation = annotations(function).get("return")
    if isinstance(annotation, str):
        return annotation.startswith(("dict", "Dict", "typing.Dict", "Mapping"))
    origin = getattr(annotation, "__origin__", annotation)
    return isinstance(origin, type) and issubclass(origin, dict)


class TaskDecorator:
    """`task` itself: `@task`, `@task(...)`, and `@task.<kind>` for each kind."""

    KINDS = (
        "python", "bash", "branch", "short_circuit", "virtualenv", "external_python", "branch_virtualenv",
        "branch_external_python", "sensor", "skip_if", "run_if", "stub", "kubernetes", "docker", "pyspark", "snowpark",
    )

    def __init__(self, kind="python"):
        self._kind = kind

    def __call__(self, function=None, *more, **arguments):
        if self._kind in ("run_if", "skip_if"):
            from .conditional import decorate

            # Here the first argument is the question.
            return decorate(function or arguments.pop("condition", None), self._kind == "run_if", *more, **arguments)
        if function is None:
            return lambda f: self(f, **arguments)
        if isinstance(function, TaskFunction):
            return function._again(arguments)
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
    """`@setup`: the function's tasks are setups."""
    return with_role(function, arguments, setup_teardown.make_setup)


def teardown(function=None, *, setups=None, on_failure_fail_dagrun=False, **arguments):
    """`@teardown`: the function's tasks are teardowns."""
    return with_role(function, arguments, functools.partial(
        setup_teardown.make_teardown, setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun))


def with_role(function, arguments, role):
    if function is None:
        return lambda f: with_role(f, arguments, role)
    made = task(function, **arguments)
    made.role = role
    return made


def task_group(group_id=None, **arguments):
    """`@task_group`: the function's tasks stand in a group named after it."""

    def decorate(function):
        @functools.wraps(function)
        def factory(*args, **kwargs):
            with make_group(function, group_id, arguments) as group:
                result = function(*args, **kwargs)
            return result if isinstance(result, (XComArg, BaseOperator)) else group

        factory.partial = lambda **kwargs: PartialGroup(function, group_id, arguments, kwargs)
        factory.expand = lambda **mapped: factory.partial().expand(**mapped)
        factory.expand_kwargs = lambda kwargs: factory.partial().expand_kwargs(kwargs)
        factory.override = lambda **more: task_group(**dict(arguments, **more))(function)
        return factory

    if callable(group_id):
        function, group_id = group_id, None
        return decorate(function)
    return decorate


def make_group(function, group_id, arguments, expansion=None):
    """The group of one call: its name is the function's, with a number where it is called again."""
    dag = stack.current_dag()
    wanted = arguments.get("group_id") or (group_id if isinstance(group_id, str) else function.__name__)
    rest = {k: v for k, v in arguments.items() if k != "group_id"}
    if not rest.get("tooltip") and function.__doc__:
        rest["tooltip"] = inspect.cleandoc(function.__doc__)
    label, n = wanted, 0
    parent = stack.current_group(dag) if dag else None
    while dag is not None and (parent.child_id(label) if parent else label) in dag.task_groups:
        n += 1
        label = "%s__%d" % (wanted, n)
    return TaskGroup(label, expansion=expansion, **rest)


class PartialGroup:
    """`group.partial(...)`, waiting for `.expand(...)`."""

    def __init__(self, function, group_id, arguments, kwargs):
        self.function, self.group_id, self.arguments, self.kwargs = function, group_id, arguments, kwargs

    def expand(self, **mapped):
        expansion = by_argument("expand() of group `%s`" % self.function.__name__, mapped)
        return self._make(expansion, list(mapped))

    def expand_kwargs(self, kwargs):
        expansion = by_kwargs("expand_kwargs() of group `%s`" % self.function.__name__, kwargs)
        parameters = signature(self.function).parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        return self._make(expansion, [name for name in names if name not in self.kwargs])

    def _make(self, expansion, names):
        with make_group(self.function, self.group_id, self.arguments, expansion) as group:
            values = {name: MappedArgument(group, name) for name in names}
            result = self.function(**dict(self.kwargs, **values))
        for upstream in expansion.tasks():
            group.set_upstream(upstream)
        return result if isinstance(result, (XComArg, BaseOperator)) else group
