"""Operators that load, stand in the graph, and say honestly that this version cannot run them.

Two reasons: Updraft learns them in a later version (`later`), or they belong
to a provider package that is not part of Updraft (`provider`).
"""

from .. import imports
from .exceptions import ComesLater
from .operator import ARGUMENTS, LATER, OLD_NAMES, SILENT, BaseOperator


class LaterOperator(BaseOperator):
    """Keeps every argument; fails when it is run."""

    why = "it comes with a later version of Updraft"

    def __init__(self, *args, **kwargs):
        known = {k: v for k, v in kwargs.items()
                 if k in ARGUMENTS or k in SILENT or k in LATER or k in OLD_NAMES or k in ("task_id", "dag", "task_group")}
        super().__init__(**known)
        # Not `arguments`: an operator may have an argument of this name.
        self._given_arguments = {k: v for k, v in kwargs.items() if k not in known}
        for name, value in self._given_arguments.items():
            if not hasattr(type(self), name):
                setattr(self, name, value)

    def _argument_fields(self):
        # Any argument may be another task's output, whatever the real class calls its template fields.
        return list(getattr(self, "_given_arguments", ()))

    def rendered_arguments(self):
        return [], {}

    def execute(self, context):
        raise ComesLater("%s cannot run: %s" % (type(self).__name__, self.why))


def may_be_unknown():
    """Whether nobody needs the value yet: a file is loaded or described, and no task runs."""
    return imports.loading or imports.describing


class Unknown:
    """What something of an absent package would have given while a file loads.

    The graph loads with it. A text that it is put into becomes a template that
    names the package and cannot be rendered, so that no task runs with a value
    that nobody knows.
    """

    def __init__(self, what, why):
        self._what, self._why = what, why

    def _refuse(self, *args, **kwargs):
        raise ComesLater("%s cannot be used: %s" % (self._what, self._why))

    def _again(self, suffix):
        if not may_be_unknown():
            self._refuse()
        return Unknown(self._what + suffix, self._why)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._again("." + name)

    def __call__(self, *args, **kwargs):
        return self._again("()")

    def __getitem__(self, key):
        return self._again("[%r]" % (key,))

    def __enter__(self):
        return self._again("")

    def __exit__(self, *exc):
        return None

    def __str__(self):
        if not may_be_unknown():
            self._refuse()
        return "{{ missing_package(%r) }}" % self._what

    def __format__(self, spec):
        return str(self)

    __repr__ = object.__repr__
    __iter__ = __len__ = __int__ = __float__ = __lt__ = __gt__ = __le__ = __ge__ = _refuse

    def __add__(self, other):
        return str(self) + other if isinstance(other, str) else self._again("")

    def __radd__(self, other):
        return other + str(self) if isinstance(other, str) else self._again("")


class LaterType(type):
    """A class of an absent package also has whatever attribute is asked for."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if not may_be_unknown():
            raise ComesLater("%s.%s cannot be used: %s" % (cls.__name__, name, cls.why))
        return Unknown("%s.%s" % (cls.__name__, name), cls.why)


class LaterObject(metaclass=LaterType):
    """A hook, a helper or any other class of a package that is not here."""

    why = "it comes with a later version of Updraft"

    def __init__(self, *args, **kwargs):
        self._arguments = (args, kwargs)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if may_be_unknown():
            return Unknown("%s.%s" % (type(self).__name__, name), self.why)
        raise ComesLater("%s.%s cannot be used: %s" % (type(self).__name__, name, self.why))

    def __call__(self, *args, **kwargs):
        return self.__getattr__("call")


def make(name, module, why):
    """A class (or a function, for a lower-case name) that stands for `module.name`."""
    if name[:1].islower():
        notifier = type(LaterObject)(name, (LaterObject,), {"__module__": module, "why": why})

        def function(*args, **kwargs):
            if name.startswith("send_") and name.endswith("_notification"):
                # A provider's way of making a notifier: the file loads, the callback says why it is not called.
                return notifier(*args, **kwargs)
            if may_be_unknown():
                # It may be a decorator, whose function stays what it is.
                is_decorator = len(args) == 1 and not kwargs and callable(args[0]) and hasattr(args[0], "__code__")
                return args[0] if is_decorator else Unknown("%s()" % name, why)
            raise ComesLater("%s.%s cannot be called: %s" % (module, name, why))

        function.__name__ = name
        function.comes_later = why
        return function
    task = name.endswith(("Operator", "Sensor", "SensorAsync", "OperatorAsync", "Marker", "Transfer", "Check"))
    base = LaterOperator if task or name.endswith("Async") else LaterObject
    return type(base)(name, (base,), {"__module__": module, "why": why, "comes_later": why if base is LaterOperator else None})


def is_unknown(value):
    """Whether a value, or one inside it, is of an absent package."""
    if isinstance(value, (Unknown, LaterObject)):
        return True
    if isinstance(value, dict):
        return any(is_unknown(one) for one in value.values())
    return isinstance(value, (list, tuple, set)) and any(is_unknown(one) for one in value)
