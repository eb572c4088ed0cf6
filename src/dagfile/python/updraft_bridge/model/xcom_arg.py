"""`XComArg`: the value that a task will return, used as an argument of another task."""

from .edge import Edgeable
from .operator import BaseOperator
from .param import DagParam

RETURN_VALUE = "return_value"


class XComArg(Edgeable):
    """Stands for one XCom of one task; on its own beside an arrow it means the task."""

    def __init__(self, operator, key=RETURN_VALUE):
        self.operator, self.key = operator, key

    def roots_for_edges(self):
        return self.operator.roots_for_edges()

    def leaves_for_edges(self):
        return self.operator.leaves_for_edges()

    @property
    def dag(self):
        return self.operator.dag

    def __getitem__(self, key):
        if not isinstance(key, str):
            raise ValueError("expected the key of an XCom to be of type str, got: %r" % (key,))
        return XComArg(self.operator, key)

    def __iter__(self):
        # Without this, `__getitem__` would make the loop endless.
        raise TypeError("the output of task `%s` is known only at run time and cannot be looped over here; "
                        "give it to a task as an argument" % self.operator.task_id)

    def __str__(self):
        from . import stack

        return self.as_template(stack.current_group(self.dag))

    def as_template(self, group):
        """The value in a text that stands in `group`: inside a mapped group, that of the same map index."""
        paired = mapped_group(group) is not None and mapped_group(group) is mapped_group(self.operator.task_group)
        index = ", map_indexes=ti.map_index" if paired else ""
        return "{{ task_instance.xcom_pull(task_ids='%s', key='%s'%s) }}" % (self.operator.task_id, self.key, index)

    def __repr__(self):
        return "XComArg(%r, %r)" % (self.operator.task_id, self.key)

    def __eq__(self, other):
        return isinstance(other, XComArg) and (self.operator, self.key) == (other.operator, other.key)

    def __hash__(self):
        return hash((self.operator, self.key))

    def map(self, f):
        """Each element as the function makes it; the function runs with the task that is expanded over it."""
        if not callable(f) and not hasattr(f, "function"):
            raise TypeError("expected a function in .map(), got: %r" % (f,))
        return MapXComArg(self, f)

    def zip(self, *others, **options):
        return ZipXComArg([self, *others], **options)

    def concat(self, *others):
        return ConcatXComArg([self, *others])

    def as_setup(self):
        self.operator.as_setup()
        return self

    def as_teardown(self, **kwargs):
        self.operator.as_teardown(**kwargs)
        return self

    @property
    def is_setup(self):
        return self.operator.is_setup

    @property
    def is_teardown(self):
        return self.operator.is_teardown

    def __enter__(self):
        return self.operator.__enter__()

    def __exit__(self, *exc):
        return self.operator.__exit__(*exc)

    def resolve(self, context):
        """The value, at run time."""
        ti = context["ti"]
        own = mapped_group(getattr(context["task"], "task_group", None))
        if own is not None and own is mapped_group(self.operator.task_group) and ti.map_index >= 0:
            return ti.xcom_pull(task_ids=self.operator.task_id, key=self.key, map_indexes=ti.map_index)
        return ti.xcom_pull(task_ids=self.operator.task_id, key=self.key)


def mapped_group(group):
    """The group itself or one around it that is expanded, or None."""
    while group is not None and group.expansion is None:
        group = group.parent_group
    return group


class _Made(XComArg):
    """A value that is made of others, to expand over."""

    key = RETURN_VALUE

    def __init__(self, args):
        self.args = args
        first = next(iter(tasks_in(args)), None)
        self.operator = first

    def roots_for_edges(self):
        return tasks_in(self.args)

    leaves_for_edges = roots_for_edges

    @property
    def dag(self):
        return self.operator.dag if self.operator is not None else None

    def __getitem__(self, key):
        raise TypeError("what .map(), .zip() and .concat() make is only to expand over")

    def as_template(self, group):
        raise TypeError("what .map(), .zip() and .concat() make cannot stand in a text")

    def __str__(self):
        return repr(self)

    def __eq__(self, other):
        return self is other

    def __hash__(self):
        return id(self)

    def __repr__(self):
        return "<%s of %r>" % (type(self).__name__, self.args)


class MapXComArg(_Made):
    """`a.map(f)`"""

    def __init__(self, arg, f):
        super().__init__([arg])
        self.arg = arg
        # A @task function is called plainly here.
        self.function = getattr(f, "function", f)

    def resolve(self, context):
        return [self.function(value) for value in elements(self.arg.resolve(context))]


class ZipXComArg(_Made):
    """`a.zip(b, ...)`"""

    def __init__(self, args, **options):
        super().__init__(list(args))
        self.fills = "fillvalue" in options
        self.fillvalue = options.pop("fillvalue", None)
        if options:
            raise TypeError("zip() has no argument `%s`" % next(iter(options)))

    def resolve(self, context):
        import itertools

        parts = [elements(resolve(arg, context)) for arg in self.args]
        return list(itertools.zip_longest(*parts, fillvalue=self.fillvalue) if self.fills else zip(*parts))


class ConcatXComArg(_Made):
    """`a.concat(b, ...)`"""

    def resolve(self, context):
        return [value for arg in self.args for value in elements(resolve(arg, context))]


class LiteralValue:
    """A value that is no template, whatever it looks like: `literal("{{ not rendered }}")`."""

    def __init__(self, value):
        self.value = value

    def resolve(self, context):
        return self.value

    def __str__(self):
        return str(self.value)

    def __repr__(self):
        return "literal(%r)" % (self.value,)


def literal(value):
    return LiteralValue(value)


def elements(value):
    """What a value is expanded into."""
    return list(value.items()) if isinstance(value, dict) else list(value or [])


def tasks_in(value):
    """The tasks whose output is somewhere in an argument, in order."""
    found = {}
    stack, seen = [value], set()
    while stack:
        one = stack.pop()
        if isinstance(one, _Made):
            stack.extend(reversed(one.args))
        elif isinstance(one, XComArg):
            found[one.operator] = None
        elif isinstance(one, (dict, list, tuple, set)) and id(one) not in seen:
            seen.add(id(one))
            stack.extend(reversed(list(one.values() if isinstance(one, dict) else one)))
    return [t for t in found if isinstance(t, BaseOperator)]


def resolve(value, context):
    """The argument with every output in it replaced by its value."""
    if isinstance(value, (XComArg, DagParam, LiteralValue)) or type(value).__name__ == "MappedArgument":
        return value.resolve(context)
    if isinstance(value, dict):
        return {k: resolve(v, context) for k, v in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(resolve(v, context) for v in value)
    return value
