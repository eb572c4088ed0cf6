"""Variables and connections, as far as the environment holds them.

Values that are kept in Updraft's own store come with a later version; until
then the error of a missing one says so.
"""

import json
import os
import urllib.parse

from .exceptions import AirflowNotFoundException

NOT_GIVEN = object()


class Variable:
    def __init__(self, key=None, val=None, description=None):
        self.key, self.val, self.description = key, val, description

    @classmethod
    def get(cls, key, default_var=NOT_GIVEN, deserialize_json=False, default=NOT_GIVEN):
        text = os.environ.get("AIRFLOW_VAR_" + key.upper())
        if text is not None:
            return json.loads(text) if deserialize_json else text
        for fallback in (default, default_var):
            if fallback is not NOT_GIVEN:
                return fallback
        raise KeyError(
            "variable `%s` does not exist: set AIRFLOW_VAR_%s in the node's environment "
            "(variables kept by Updraft itself come with a later version)" % (key, key.upper())
        )

    @classmethod
    def setdefault(cls, key, default, description=None, deserialize_json=False):
        return cls.get(key, default_var=default, deserialize_json=deserialize_json)

    @classmethod
    def set(cls, key, value, description=None, serialize_json=False):
        raise NotImplementedError("Variable.set(%r) comes with a later version of Updraft" % key)

    @classmethod
    def delete(cls, key):
        raise NotImplementedError("Variable.delete(%r) comes with a later version of Updraft" % key)


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
        text = os.environ.get("AIRFLOW_CONN_" + conn_id.upper())
        if text is None:
            raise AirflowNotFoundException(
                "connection `%s` does not exist: set AIRFLOW_CONN_%s in the node's environment "
                "(connections kept by Updraft itself come with a later version)" % (conn_id, conn_id.upper())
            )
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
