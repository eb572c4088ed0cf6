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
        return "{{ task_instance.xcom_pull(task_ids='%s', key='%s') }}" % (self.operator.task_id, self.key)

    def __repr__(self):
        return "XComArg(%r, %r)" % (self.operator.task_id, self.key)

    def __eq__(self, other):
        return isinstance(other, XComArg) and (self.operator, self.key) == (other.operator, other.key)

    def __hash__(self):
        return hash((self.operator, self.key))

    def map(self, f):
        later = XComArg(self.operator, self.key)
        later.operator.comes_later = later.operator.comes_later or "`.map` on a task's output"
        return later

    def as_setup(self):
        return self.operator.as_setup()

    def as_teardown(self, **kwargs):
        return self.operator.as_teardown(**kwargs)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def resolve(self, context):
        """The value, at run time."""
        return context["ti"].xcom_pull(task_ids=self.operator.task_id, key=self.key)


def tasks_in(value):
    """The tasks whose output is somewhere in an argument, in order."""
    found = {}
    stack, seen = [value], set()
    while stack:
        one = stack.pop()
        if isinstance(one, XComArg):
            found[one.operator] = None
        elif isinstance(one, (dict, list, tuple, set)) and id(one) not in seen:
            seen.add(id(one))
            stack.extend(reversed(list(one.values() if isinstance(one, dict) else one)))
    return [t for t in found if isinstance(t, BaseOperator)]


def resolve(value, context):
    """The argument with every output in it replaced by its value."""
    if isinstance(value, (XComArg, DagParam)):
        return value.resolve(context)
    if isinstance(value, dict):
        return {k: resolve(v, context) for k, v in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(resolve(v, context) for v in value)
    return value
