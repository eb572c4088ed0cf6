"""Operators that load, stand in the graph, and say honestly that this version cannot run them.

Two reasons: Updraft learns them in a later version (`later`), or they belong
to a provider package that is not part of Updraft (`provider`).
"""

from .exceptions import ComesLater
from .operator import ARGUMENTS, LATER, OLD_NAMES, SILENT, BaseOperator


class LaterOperator(BaseOperator):
    """Keeps every argument; fails when it is run."""

    why = "it comes with a later version of Updraft"

    def __init__(self, *args, **kwargs):
        known = {k: v for k, v in kwargs.items()
                 if k in ARGUMENTS or k in SILENT or k in LATER or k in OLD_NAMES or k in ("task_id", "dag", "task_group")}
        super().__init__(**known)
        self.arguments = {k: v for k, v in kwargs.items() if k not in known}
        for name, value in self.arguments.items():
            if not hasattr(type(self), name):
                setattr(self, name, value)

    def _argument_fields(self):
        # Any argument may be another task's output, whatever the real class calls its template fields.
        return list(getattr(self, "arguments", ()))

    def rendered_arguments(self):
        return [], {}

    def execute(self, context):
        raise ComesLater("%s cannot run: %s" % (type(self).__name__, self.why))


class LaterObject:
    """A hook, a helper or any other class of a package that is not here."""

    why = "it comes with a later version of Updraft"

    def __init__(self, *args, **kwargs):
        self._arguments = (args, kwargs)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise ComesLater("%s.%s cannot be used: %s" % (type(self).__name__, name, self.why))


def make(name, module, why):
    """A class (or a function, for a lower-case name) that stands for `module.name`."""
    if name[:1].islower():
        notifier = type(LaterObject)(name, (LaterObject,), {"__module__": module, "why": why})

        def function(*args, **kwargs):
            if name.startswith("send_") and name.endswith("_notification"):
                # A provider's way of making a notifier: the file loads, the callback says why it is not called.
                return notifier(*args, **kwargs)
            raise ComesLater("%s.%s cannot be called: %s" % (module, name, why))

        function.__name__ = name
        function.comes_later = why
        return function
    task = name.endswith(("Operator", "Sensor", "SensorAsync", "OperatorAsync", "Marker", "Transfer", "Check"))
    base = LaterOperator if task or name.endswith("Async") else LaterObject
    return type(base)(name, (base,), {"__module__": module, "why": why, "comes_later": why if base is LaterOperator else None})
