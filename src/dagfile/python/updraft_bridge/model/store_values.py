"""Variables and connections: of the node's environment, and, while a task runs, of Updraft's own store.

While a DAG file is parsed nobody can be asked: then only the environment counts.
"""

import json
import os
import urllib.parse

from .exceptions import AirflowException, AirflowNotFoundException

NOT_GIVEN = object()

# The channel of the attempt that runs; None while a file is parsed.
_channel = None


def use_channel(channel):
    global _channel
    _channel = channel


def channel(what):
    if _channel is None:
        raise AirflowException("%s works only while a task runs, not while its DAG file is loaded" % what)
    return _channel


def from_environment(kind, name):
    for prefix in ("UPDRAFT_", "AIRFLOW_"):
        text = os.environ.get(prefix + kind + "_" + name.upper())
        if text is not None:
            return text
    return None


def nobody_to_ask(what, name, variable):
    return (
        "%s `%s` is not in the environment (%s), and what Updraft keeps is only there while a task runs: "
        "ask for it inside a task, or in a template" % (what, name, variable)
    )


class Variable:
    def __init__(self, key=None, val=None, description=None):
        self.key, self.val, self.description = key, val, description

    @classmethod
    def get(cls, key, default_var=NOT_GIVEN, deserialize_json=False, default=NOT_GIVEN):
        if _channel is not None:
            text = _channel.ask({"type": "get_variable", "key": key})
        else:
            text = from_environment("VAR", key)
        if text is not None:
            return json.loads(text) if deserialize_json else text
        for fallback in (default, default_var):
            if fallback is not NOT_GIVEN:
                return fallback
        if _channel is None:
            raise KeyError(nobody_to_ask("variable", key, "AIRFLOW_VAR_" + key.upper()))
        raise KeyError("variable `%s` does not exist: set it with `updraft variables set %s VALUE`" % (key, key))

    @classmethod
    def setdefault(cls, key, default, description=None, deserialize_json=False):
        known = cls.get(key, default_var=None, deserialize_json=deserialize_json)
        if known is not None:
            return known
        if default is None:
            raise ValueError("the default of variable `%s` has to be set" % key)
        cls.set(key, default, description=description, serialize_json=deserialize_json)
        return default

    @classmethod
    def set(cls, key, value, description=None, serialize_json=False, session=None):
        """Keeps it, encrypted; while a task runs only, because nobody is there to keep it before."""
        text = json.dumps(value, indent=2) if serialize_json else str(value)
        request = {"type": "set_variable", "key": key, "value": text}
        if description is not None:
            request["description"] = description
        channel("Variable.set(%r)" % key).ask(request)

    @classmethod
    def update(cls, key, value, serialize_json=False, session=None):
        """The same for a variable that exists."""
        if channel("Variable.update(%r)" % key).ask({"type": "get_variable", "key": key}) is None:
            raise KeyError("variable `%s` does not exist: set it with Variable.set" % key)
        cls.set(key, value, serialize_json=serialize_json)

    @classmethod
    def delete(cls, key, session=None):
        """How many there were: 1 or 0."""
        return int(bool(channel("Variable.delete(%r)" % key).ask({"type": "delete_variable", "key": key})))


class Connection:
    def __init__(self, conn_id=None, conn_type=None, description=None, host=None, login=None, password=None,
                 schema=None, port=None, extra=None, uri=None):
        self.conn_id, self.conn_type, self.description = conn_id, conn_type, description
        self.host, self.login, self.password, self.schema = host, login, password, schema
        self.port = int(port) if port not in (None, "") else None
        self.extra = extra if isinstance(extra, str) or extra is None else json.dumps(extra)
        if uri:
            self._read(uri)

    def _read(self, uri):
        parts = urllib.parse.urlsplit(uri)
        kind = parts.scheme.replace("-", "_")
        unquote = urllib.parse.unquote
        self.conn_type = "postgres" if kind == "postgresql" else kind
        self.host = unquote(parts.hostname) if parts.hostname else None
        self.login = unquote(parts.username) if parts.username is not None else None
        self.password = unquote(parts.password) if parts.password is not None else None
        self.port = parts.port
        self.schema = unquote(parts.path[1:]) or None
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        if query:
            self.extra = query.pop("__extra__", None) or json.dumps(query)

    @property
    def extra_dejson(self):
        return json.loads(self.extra) if self.extra else {}

    @classmethod
    def get(cls, conn_id):
        if _channel is not None:
            parts = _channel.ask({"type": "get_connection", "conn_id": conn_id})
            if parts is None:
                raise AirflowNotFoundException(
                    "connection `%s` does not exist: add it with `updraft connections add %s --conn-uri URI`"
                    % (conn_id, conn_id)
                )
            return cls(conn_id=conn_id, **parts)
        text = from_environment("CONN", conn_id)
        if text is None:
            raise AirflowNotFoundException(nobody_to_ask("connection", conn_id, "AIRFLOW_CONN_" + conn_id.upper()))
        if text.lstrip().startswith("{"):
            return cls(conn_id=conn_id, **json.loads(text))
        return cls(conn_id=conn_id, uri=text)

    get_connection_from_secrets = get

    def __repr__(self):
        # Never the password.
        return "<Connection: %s>" % self.conn_id


class BaseHook:
    """What an author's own hook builds on."""

    def __init__(self, *args, **kwargs):
        pass

    @classmethod
    def get_connection(cls, conn_id):
        return Connection.get(conn_id)

    @property
    def log(self):
        import logging

        return logging.getLogger("airflow.hooks." + type(self).__name__)
