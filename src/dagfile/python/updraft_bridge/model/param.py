"""Parameters of a run, and how they look to the author's code.

What a value has to be is said by a JSON schema. It is checked by the Rust side: the
defaults when the file is read, the values of a run when it is triggered.
"""

import collections.abc
import copy


class NotGiven:
    """The default of a parameter that has none."""

    def __repr__(self):
        return "NOT_GIVEN"

    def __bool__(self):
        return False


NOT_GIVEN = NotGiven()


class Param:
    """A default value with a JSON schema: `Param(3, type="integer", minimum=1)`."""

    def __init__(self, default=NOT_GIVEN, description=None, **kwargs):
        self.value = default
        self.description = description
        self.schema = kwargs.pop("schema", None) or kwargs

    @property
    def has_value(self):
        return self.value is not NOT_GIVEN and self.value is not None

    def resolve(self, value=NOT_GIVEN, suppress_exception=False):
        if value is not NOT_GIVEN:
            self.value = value
        return None if self.value is NOT_GIVEN else self.value

    def dump(self):
        return {"value": self.resolve(), "description": self.description, "schema": self.schema}

    def written(self):
        """As a YAML file has it."""
        schema = dict(self.schema)
        if self.description is not None:
            schema.setdefault("description", self.description)
        written = {"schema": schema}
        # Airflow takes None for "no default", unless the schema allows it.
        kinds = schema.get("type")
        allows_none = kinds is None or "null" in ([kinds] if isinstance(kinds, str) else kinds)
        if self.value is not NOT_GIVEN and (self.value is not None or allows_none):
            written["default"] = self.value
        return written


class DagParam:
    """`dag.param("x")`: the value of a parameter of the run, as an argument of a task."""

    def __init__(self, dag, name, default=None):
        self.dag, self.name, self.default = dag, name, default

    def resolve(self, context):
        return context["params"].get(self.name, plain(self.default))

    def __str__(self):
        return "{{ params.%s }}" % self.name


def plain(value):
    """A `Param` as its default; anything else as it is."""
    return value.resolve() if isinstance(value, Param) else value


class ParamsDict(collections.abc.MutableMapping):
    """A dict of parameters that gives plain values and accepts `Param`s."""

    def __init__(self, values=None, suppress_exception=False):
        self._values = {}
        self.update(values or {})

    def __getitem__(self, key):
        return plain(self._values[key])

    def __setitem__(self, key, value):
        known = self._values.get(key)
        if isinstance(known, Param) and not isinstance(value, Param):
            # A new value of a parameter keeps its schema.
            known, value = copy.copy(known), value
            known.value = value
            value = known
        self._values[key] = value

    def __delitem__(self, key):
        del self._values[key]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        return repr(self.dump())

    def get_param(self, key):
        value = self._values[key]
        return value if isinstance(value, Param) else Param(value)

    def validate(self):
        return self.dump()

    def written(self):
        """The values with their schemas, as the author gave them."""
        return dict(self._values)

    def dump(self):
        return {key: plain(value) for key, value in self._values.items()
                if not (isinstance(value, Param) and value.value is NOT_GIVEN)}
