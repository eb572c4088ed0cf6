"""Parameters of a run, and how they look to the author's code."""

import collections.abc


class Param:
    """A default value with a JSON schema. The schema is kept; it is not checked yet."""

    def __init__(self, default=None, description=None, **kwargs):
        self.value = default
        self.description = description
        self.schema = kwargs.pop("schema", kwargs)

    def resolve(self, value=None, suppress_exception=False):
        return self.value if value is None else value

    def dump(self):
        return {"value": self.value, "description": self.description, "schema": self.schema}


class DagParam:
    """`dag.param("x")`: the value of a parameter of the run, as an argument of a task."""

    def __init__(self, dag, name, default=None):
        self.dag, self.name, self.default = dag, name, default

    def resolve(self, context):
        return context["params"].get(self.name, self.default)

    def __str__(self):
        return "{{ params.%s }}" % self.name


def plain(value):
    """A `Param` as its default; anything else as it is."""
    return value.value if isinstance(value, Param) else value


class ParamsDict(collections.abc.MutableMapping):
    """A dict of parameters that gives plain values and accepts `Param`s."""

    def __init__(self, values=None, suppress_exception=False):
        self._values = {}
        self.update(values or {})

    def __getitem__(self, key):
        return plain(self._values[key])

    def __setitem__(self, key, value):
        self._values[key] = value

    def __delitem__(self, key):
        del self._values[key]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        return repr(self.dump())

    def dump(self):
        return {key: plain(value) for key, value in self._values.items()}
