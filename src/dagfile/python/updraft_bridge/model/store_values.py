"""Variables and connections: of the node's environment, and of Updraft's own store.

A running task may also keep variables. A file that is described may only ask;
Updraft remembers what it was told, and describes it again when that changes.
"""

import json
import os
import urllib.parse

from .. import imports, notes
from .exceptions import AirflowException, AirflowNotFoundException

NOT_GIVEN = object()

# The channel of the attempt that runs; None while a file is parsed.
_channel = None


def use_channel(channel):
    global _channel
    _channel = channel


def ask_while_loading(question, what, name, variable):
    """What the store has; without an answer the error says where else the value could come from."""
    if imports.asking is None:
        return None
    try:
        return imports.asking.ask(question)
    except RuntimeError as why:
        raise AirflowException("%s `%s` cannot be looked up while the file is loaded: %s; the environment (%s) needs no look"
                               % (what, name, why, variable)) from None


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
            if text is None:
                text = ask_while_loading({"type": "get_variable", "key": key}, "variable", key, "AIRFLOW_VAR_" + key.upper())
        if text is not None:
            return json.loads(text) if deserialize_json else text
        for fallback in (default, default_var):
            if fallback is not NOT_GIVEN:
                return fallback
        if _channel is None and imports.asking is None:
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
                 schema=None, port=None, extra=None, uri=None, **unknown):
        for word in unknown:
            notes.warn("Connection has no argument `%s`; it has no effect" % word)
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

    def get_uri(self):
        """`type://login:password@host:port/schema?extra`"""
        quote = urllib.parse.quote
        kind = (self.conn_type or "").replace("_", "-")
        host = self.host or ""
        if "://" in host:
            kind, _, host = host.partition("://")
        login = "" if self.login is None and self.password is None else "%s%s@" % (
            quote(self.login or "", safe=""), "" if self.password is None else ":" + quote(self.password, safe=""))
        uri = "%s://%s%s%s" % (kind, login, quote(host, safe=""), ":%d" % self.port if self.port else "")
        uri += "/" + quote(self.schema, safe="") if self.schema else ""
        if not self.extra:
            return uri
        extra = self.extra_dejson
        is_flat = isinstance(extra, dict) and all(isinstance(v, str) for v in extra.values())
        query = urllib.parse.urlencode(extra if is_flat else {"__extra__": self.extra})
        return "%s%s?%s" % (uri, "" if self.schema else "/", query)

    def get_password(self):
        return self.password

    def get_extra(self):
        return self.extra

    def get_extra_dejson(self, nested=False):
        return self.extra_dejson

    def as_json(self):
        parts = {"conn_type": self.conn_type, "host": self.host, "login": self.login, "password": self.password,
                 "schema": self.schema, "port": self.port, "extra": self.extra_dejson}
        return json.dumps({k: v for k, v in parts.items() if v not in (None, {})})

    def get_hook(self, *, hook_params=None):
        """The hook of the connection's type, where there is one without a provider."""
        from . import hooks, sql_hook

        own = {"http": hooks.HttpHook, "https": hooks.HttpHook, "fs": hooks.FSHook}.get(self.conn_type)
        if own is not None:
            return own(**dict({own.conn_name_attr: self.conn_id}, **(hook_params or {})))
        return sql_hook.hook_for(self, **(hook_params or {}))

    @classmethod
    def get(cls, conn_id):
        if _channel is not None:
            return cls.found(conn_id, _channel.ask({"type": "get_connection", "conn_id": conn_id}))
        text = from_environment("CONN", conn_id)
        if text is None and imports.asking is not None:
            parts = ask_while_loading({"type": "get_connection", "conn_id": conn_id}, "connection", conn_id,
                                      "AIRFLOW_CONN_" + conn_id.upper())
            return cls.found(conn_id, parts)
        if text is None:
            raise AirflowNotFoundException(nobody_to_ask("connection", conn_id, "AIRFLOW_CONN_" + conn_id.upper()))
        if text.lstrip().startswith("{"):
            return cls(conn_id=conn_id, **json.loads(text))
        return cls(conn_id=conn_id, uri=text)

    @classmethod
    def found(cls, conn_id, parts):
        if parts is None:
            raise AirflowNotFoundException(
                "connection `%s` does not exist: add it with `updraft connections add %s --conn-uri URI`"
                % (conn_id, conn_id)
            )
        return cls(conn_id=conn_id, **parts)

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

    @classmethod
    def get_connections(cls, conn_id):
        return [Connection.get(conn_id)]

    @classmethod
    def get_hook(cls, conn_id, hook_params=None):
        return Connection.get(conn_id).get_hook(hook_params=hook_params)

    def get_conn(self):
        raise NotImplementedError("%s has no `get_conn` method" % type(self).__name__)

    @property
    def log(self):
        import logging

        return logging.getLogger("airflow.hooks." + type(self).__name__)
