"""Dynamic task mapping: `.partial(...)`, `.expand(...)` and `.expand_kwargs(...)` of operators, and what a group is expanded with.

While the file is read, a mapped task is a `MappedOperator`: it knows the class and what is
the same for all. While it runs, it becomes one task with the values of its map index.
"""

from .exceptions import AirflowException
from .operator import ARGUMENTS, LATER, OLD_NAMES, SILENT, BaseOperator
from .xcom_arg import ConcatXComArg, MapXComArg, XComArg, ZipXComArg, resolve, tasks_in


def check_source(what, value):
    """Says at once what can never be expanded over."""
    if not isinstance(value, (list, tuple, dict, XComArg, MappedArgument)):
        raise ValueError(
            "%s expects a list, a dict or the output of a task to expand over, got: %s" % (what, type(value).__name__)
        )
    if isinstance(value, MappedArgument):
        raise AirflowException("%s cannot expand inside a mapped task group; mapping inside mapping is not supported" % what)


class Expansion:
    """What a task or a group is expanded over: by argument, or one mapping for each instance."""

    def __init__(self, arguments=None, kwargs=None):
        self.arguments, self.kwargs = arguments, kwargs

    def sources(self):
        return [self.kwargs] if self.arguments is None else list(self.arguments.values())

    def tasks(self):
        return tasks_in(self.sources())

    def resolve(self, pieces, context):
        """The arguments of one instance; `pieces` come from the worker."""
        if self.arguments is None:
            value = pick(self.kwargs, pieces["piece"], context)
            if not isinstance(value, dict):
                raise AirflowException("expected each element of expand_kwargs to be a dict, got: %s" % type(value).__name__)
            return value
        return {one["name"]: pick(self.arguments[one["name"]], one["piece"], context) for one in pieces["arguments"]}


def by_argument(what, mapped):
    if not mapped:
        raise TypeError("%s expects at least one argument to expand" % what)
    for name, value in mapped.items():
        check_source("`%s` of %s" % (name, what), value)
    return Expansion(arguments=mapped)


def by_kwargs(what, kwargs):
    check_source(what, kwargs)
    if isinstance(kwargs, dict):
        raise ValueError("%s expects a list of dicts, got: dict" % what)
    return Expansion(kwargs=kwargs)


def pick(source, piece, context):
    """One value: `piece` says which of the source's, and holds what other tasks left."""
    from ..spec import merge_rendered

    kind = piece["is"]
    if kind == "found":
        return piece["value"]
    if kind == "found_pair":
        return (piece["key"], piece["value"])
    if kind == "literal":
        return resolve(merge_rendered(source[piece["index"]], piece["value"]), context)
    if kind == "literal_pair":
        key = list(source)[piece["index"]]
        return (key, resolve(merge_rendered(source[key], piece["value"]), context))
    if kind == "map":
        return source.function(pick(source.arg, piece["piece"], context))
    if kind == "concat":
        return pick(source.args[piece["source"]], piece["piece"], context)
    if kind == "zip":
        parts = zip(source.args, piece["pieces"])
        return tuple(source.fillvalue if part is None else pick(arg, part, context) for arg, part in parts)
    raise AirflowException("expected a value for the map index, got: %r" % (piece,))


class MappedOperator(BaseOperator):
    """A task of which there will be one for each element."""

    def __init__(self, mapped_class=None, partial=None, expansion=None, into_op_kwargs=False, **kwargs):
        super().__init__(**kwargs)
        self.mapped_class, self.partial, self.expansion = mapped_class, partial, expansion
        # The arguments are those of a function, as @task has it.
        self.into_op_kwargs = into_op_kwargs
        group = self.task_group
        while group is not None:
            if group.expansion is not None:
                raise AirflowException(
                    "task `%s` is expanded inside the expanded group `%s`; mapping inside a mapped group is not supported"
                    % (self.task_id, group.group_id)
                )
            group = group.parent_group

    @classmethod
    def make(cls, mapped_class, kwargs, expansion, into_op_kwargs=False, **more):
        known = set(ARGUMENTS) | SILENT | LATER | set(OLD_NAMES) | {"task_id", "dag", "task_group", "default_args"}
        own = {name: value for name, value in kwargs.items() if name in known}
        twice = [name for name in (expansion.arguments or {}) if name in (kwargs.get("op_kwargs") or {} if into_op_kwargs else kwargs)]
        if twice:
            raise TypeError("`%s` of task `%s` is both given and expanded" % (twice[0], kwargs.get("task_id")))
        task = cls(mapped_class=mapped_class, partial=dict(kwargs), expansion=expansion,
                   into_op_kwargs=into_op_kwargs, **dict(own, **more))
        for upstream in [*expansion.tasks(), *tasks_in(list(kwargs.values()))]:
            if upstream is not task:
                task._add_upstream(upstream)
        return task

    @property
    def task_type(self):
        kind = self.partial.get("kind") if self.into_op_kwargs else None
        return self.mapped_class.__name__ if kind is None else "@task" if kind == "python" else "@task." + kind

    operator_name = task_type

    @property
    def operator_class(self):
        return self.mapped_class

    def _fields(self):
        fields = self.mapped_class.template_fields
        return [fields] if isinstance(fields, str) else list(fields)

    def rendered_arguments(self):
        """What is the same for every instance."""
        if self._calls_a_function():
            kwargs = dict(self.partial.get("op_kwargs") or {})
            if self.partial.get("templates_dict"):
                kwargs["templates_dict"] = self.partial["templates_dict"]
            return list(self.partial.get("op_args") or []), kwargs
        return [], {f: self.partial[f] for f in self._fields() if f in self.partial}

    def take_rendered(self, args, kwargs):
        if not self._calls_a_function():
            self.partial.update(kwargs)
            return
        kwargs = dict(kwargs)
        if self.partial.get("templates_dict"):
            self.partial["templates_dict"] = kwargs.pop("templates_dict", self.partial["templates_dict"])
        if args:
            self.partial["op_args"] = args
        if kwargs:
            self.partial["op_kwargs"] = kwargs

    def _calls_a_function(self):
        from .operators import PythonOperator

        return issubclass(self.mapped_class, PythonOperator)

    def unmap(self, values):
        """The task of one map index."""
        kwargs = dict(self.partial)
        if self.into_op_kwargs:
            kwargs["op_kwargs"] = dict(kwargs.get("op_kwargs") or {}, **values)
        else:
            kwargs.update(values)
        defaults = dict(self.dag.default_args) if self.dag is not None else {}
        if self.task_group is not None:
            defaults.update(self.task_group.all_default_args())
        defaults.update(kwargs.pop("default_args", None) or {})
        accepted = self.mapped_class._accepted_arguments()
        kwargs = dict({name: value for name, value in defaults.items() if name in accepted}, **kwargs)
        for name in ("dag", "task_group"):
            kwargs.pop(name, None)
        kwargs["task_id"] = self.task_id
        task = self.mapped_class(**kwargs)
        task.dag, task.task_group = self.dag, self.task_group
        task._upstream, task._downstream = self._upstream, self._downstream
        return task

    def execute(self, context):
        raise AirflowException("task `%s` runs only with the values of a map index" % self.task_id)


class Partial:
    """`Operator.partial(...)`, waiting for `.expand(...)`."""

    def __init__(self, cls, kwargs):
        self.cls, self.kwargs = cls, kwargs

    def expand(self, **mapped):
        return MappedOperator.make(self.cls, self.kwargs, by_argument("expand() of task `%s`" % self.kwargs.get("task_id"), mapped))

    def expand_kwargs(self, kwargs, strict=True):
        return MappedOperator.make(self.cls, self.kwargs, by_kwargs("expand_kwargs() of task `%s`" % self.kwargs.get("task_id"), kwargs))


class MappedArgument:
    """What a mapped group gets under one name: another value for each map index. In text it is a template."""

    def __init__(self, group, name):
        self.group, self.name = group, name

    def __str__(self):
        return "{{ mapped[%r] }}" % self.name

    def __getitem__(self, key):
        raise TypeError("the argument `%s` of group `%s` is known only at run time" % (self.name, self.group.group_id))

    def __iter__(self):
        raise TypeError("the argument `%s` of group `%s` is known only at run time and cannot be looped over here"
                        % (self.name, self.group.group_id))

    def resolve(self, context):
        return context["ti"].mapped_of_group(context)[self.name]


def source_spec(source, argument):
    """A source as the Rust side reads it; `argument` writes a value."""
    if isinstance(source, MapXComArg):
        return {"map": source_spec(source.arg, argument)}
    if isinstance(source, ZipXComArg):
        spec = {"zip": [source_spec(arg, argument) for arg in source.args]}
        return dict(spec, fillvalue=argument(source.fillvalue)) if source.fills else spec
    if isinstance(source, ConcatXComArg):
        return {"concat": [source_spec(arg, argument) for arg in source.args]}
    if isinstance(source, XComArg):
        return {"xcom": source.operator.task_id, "key": source.key}
    if isinstance(source, dict):
        return {"dict": {str(key): argument(value) for key, value in source.items()}}
    return [argument(value) for value in source]


def expansion_spec(expansion, argument):
    if expansion.arguments is None:
        # An empty list would be taken for nothing written.
        return {"expand_kwargs": source_spec(expansion.kwargs, argument) or {"concat": []}}
    return {"expand": {name: source_spec(source, argument) for name, source in expansion.arguments.items()}}
