"""Operators that run without Python: Updraft does their work itself, and this file only records what they say.

An argument that only Python can hold (a function) keeps a task in Python where
that can be done; else the task says, when it runs, why it cannot.
"""

import datetime

from .. import notes
from .exceptions import AirflowException
from .operator import BaseOperator
from .operators import EmptyOperator
from .xcom_arg import XComArg


class NotNative(Exception):
    """An argument that cannot be written down; the message says which and what to do."""


class NativeOperator(BaseOperator):
    """Keeps its arguments under their names. `native_spec` gives them to the Rust side."""

    # Names of arguments, in the order in which they may be given by position.
    native_fields = ()
    # Accepted; they change nothing here.
    ignored_fields = ()
    # Other spellings, of earlier providers.
    renamed_fields = {}

    def __init__(self, *args, **kwargs):
        cls = type(self)
        given = dict(zip(cls.native_fields, args))
        for old, new in cls.renamed_fields.items():
            if old in kwargs:
                kwargs.setdefault(new, kwargs.pop(old))
        for name in list(kwargs):
            if name in cls.native_fields:
                given[name] = kwargs.pop(name)
            elif name in cls.ignored_fields:
                kwargs.pop(name)
        self._native = given
        super().__init__(**kwargs)
        for name in cls.native_fields:
            setattr(self, name, given.get(name))

    @classmethod
    def _own_arguments(cls):
        return set(cls.native_fields) | set(cls.ignored_fields) | set(cls.renamed_fields)

    def _argument_fields(self):
        return list(dict.fromkeys([*type(self).native_fields, *super()._argument_fields()]))

    def native_arguments(self):
        return {name: plain(name, getattr(self, name)) for name in self._native}

    def native_spec(self):
        """`(class, arguments)`; None where the task has to run in Python."""
        return type(self).__name__, self.native_arguments()

    def rendered_arguments(self):
        fields = [f for f in type(self).native_fields if f in self._native]
        # A class of the author's own may have more of them.
        fields += [f for f in super()._argument_fields() if f not in type(self).native_fields]
        return [], {f: getattr(self, f) for f in fields if hasattr(self, f) and not callable(getattr(self, f))}

    def execute(self, context):
        raise NotImplementedError("%s has no `execute` method" % type(self).__name__)


def plain(name, value):
    """An argument as JSON."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, XComArg) or type(value).__name__ == "Unknown":
        # Each is a template in a text.
        return str(value)
    if isinstance(value, dict):
        return {str(k): inner(name, v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [inner(name, v) for v in value]
    if hasattr(value, "value") and isinstance(value.value, str):
        # A member of one of Airflow's enumerations of states.
        return value.value
    if callable(value):
        raise NotNative("its `%s` is a Python function; write a Jinja expression as text instead, or use a Python task" % name)
    raise NotNative("its `%s` holds a %s, which is no JSON" % (name, type(value).__name__))


def inner(name, value):
    if isinstance(value, XComArg):
        raise NotNative(
            "its `%s` holds the output of a task inside a list or dict, which would become text; "
            "write it as a template, or use a Python task" % name
        )
    return plain(name, value)


class HttpOperator(NativeOperator):
    """One HTTP request. With a Python function as `response_check` or `response_filter` it runs in Python."""

    template_fields = ("endpoint", "data", "headers")
    native_fields = ("endpoint", "method", "data", "headers", "response_check", "response_filter", "extra_options",
                     "http_conn_id", "log_response", "json")
    ignored_fields = ("auth_type", "tcp_keep_alive", "tcp_keep_alive_idle", "tcp_keep_alive_count",
                      "tcp_keep_alive_interval", "deferrable", "retry_args", "request_kwargs", "pagination_function")

    def __init__(self, *args, **kwargs):
        if kwargs.get("pagination_function") is not None:
            notes.warn("`pagination_function` is read but not called: only the first page is fetched",
                       once=("later", "pagination_function"))
        super().__init__(*args, **kwargs)

    def native_spec(self):
        if callable(self.response_check) or callable(self.response_filter):
            return None
        return super().native_spec()

    def execute(self, context):
        from .http import request
        from .operators import call

        response = request(self, self.method or "POST", self.endpoint, self.data, self.json)
        if self.log_response:
            self.log.info(response.text)
        if callable(self.response_check) and not call(self.response_check, [response], {}, context):
            raise AirflowException("Response check returned False.")
        if callable(self.response_filter):
            return call(self.response_filter, [response], {}, context)
        return response.text


class SimpleHttpOperator(HttpOperator):
    """The name that HttpOperator had."""


class SQLExecuteQueryOperator(NativeOperator):
    """SQL statements on Postgres, MySQL or SQLite."""

    template_fields = ("sql", "parameters", "conn_id", "database")
    template_ext = (".sql", ".json")
    native_fields = ("sql", "autocommit", "parameters", "handler", "conn_id", "database", "split_statements",
                     "return_last", "show_return_value_in_logs", "row_limit")
    ignored_fields = ("output_processor", "hook_params", "requires_result_fetch", "runtime_parameters", "schema")
    renamed_fields = {"postgres_conn_id": "conn_id", "mysql_conn_id": "conn_id", "sqlite_conn_id": "conn_id"}

    def __init__(self, *args, **kwargs):
        self.output_processor, self.hook_params = kwargs.get("output_processor"), dict(kwargs.get("hook_params") or {})
        super().__init__(*args, **kwargs)

    def native_spec(self):
        own = callable(self.handler) and getattr(self.handler, "__name__", "") not in HANDLERS
        return None if own or self.output_processor is not None else super().native_spec()

    def get_db_hook(self):
        from .sql_hook import hook_for
        from .store_values import Connection

        default = {"PostgresOperator": "postgres_default", "MySqlOperator": "mysql_default", "SqliteOperator": "sqlite_default"}
        name = self.conn_id or next((default[c.__name__] for c in type(self).__mro__ if c.__name__ in default), None)
        if name is None:
            raise AirflowException("task `%s` names no connection: give it a conn_id" % self.task_id)
        return hook_for(Connection.get(name), self.database, **self.hook_params)

    get_hook = get_db_hook

    def execute(self, context):
        """For functions and classes of the author's own: over a hook, which needs a driver."""
        from .sql_hook import fetch_all_handler, return_single_query_results

        handler = fetch_all_handler if "handler" not in self._native else self.handler
        split = bool(self.split_statements)
        last = self.return_last is not False
        results = self.get_db_hook().run(
            sql=self.sql, autocommit=bool(self.autocommit), parameters=self.parameters,
            handler=handler if self.do_xcom_push or self.output_processor else None, split_statements=split, return_last=last)
        if self.output_processor is None or results is None:
            return results
        single = return_single_query_results(self.sql, last, split)
        processed = self.output_processor([results] if single else results, [None])
        return processed[-1] if single else processed

    def native_arguments(self):
        arguments = dict(self._native)
        if "handler" in arguments:
            handler = arguments.pop("handler")
            arguments["handler"] = "none" if handler is None else getattr(handler, "__name__", handler)
        return {name: plain(name, value) for name, value in arguments.items()}


class PostgresOperator(SQLExecuteQueryOperator):
    pass


class MySqlOperator(SQLExecuteQueryOperator):
    pass


class SqliteOperator(SQLExecuteQueryOperator):
    pass


# What becomes of the rows, by name: Updraft fetches them itself.
HANDLERS = ("fetch_all_handler", "fetch_one_handler")


class EmailOperator(NativeOperator):
    """A mail."""

    template_fields = ("to", "subject", "html_content", "from_email", "files", "cc", "bcc")
    template_ext = (".html",)
    native_fields = ("to", "subject", "html_content", "from_email", "files", "cc", "bcc", "conn_id", "custom_headers")
    ignored_fields = ("mime_subtype", "mime_charset", "auth_type")
    renamed_fields = {"smtp_conn_id": "conn_id"}

    def execute(self, context):
        from .mail import send_email

        send_email(**{name: getattr(self, name) for name in type(self).native_fields})


class TriggerDagRunOperator(NativeOperator):
    """A run of another DAG."""

    template_fields = ("trigger_dag_id", "trigger_run_id", "logical_date", "conf", "wait_for_completion")
    native_fields = ("trigger_dag_id", "trigger_run_id", "conf", "logical_date", "reset_dag_run",
                     "wait_for_completion", "poke_interval", "allowed_states", "failed_states",
                     "skip_when_already_exists", "fail_when_dag_is_paused", "deferrable", "note")
    ignored_fields = ("openlineage_inject_parent_info", "run_after", "python_callable")
    renamed_fields = {"execution_date": "logical_date"}

    def __init__(self, *args, **kwargs):
        # Airflow 1.10 asks a function whether there is to be a run, and with what conf.
        self.python_callable = kwargs.get("python_callable")
        super().__init__(*args, **kwargs)

    def native_spec(self):
        return None if self.python_callable is not None else super().native_spec()

    def execute(self, context):
        from .trigger_run import execute

        return execute(self, context)


class ExternalTaskMarker(EmptyOperator):
    """Does nothing: it tells the reader that another DAG waits for this one."""

    def __init__(self, external_dag_id=None, external_task_id=None, logical_date=None, execution_date=None,
                 recursion_depth=10, **kwargs):
        super().__init__(**kwargs)
        self.external_dag_id, self.external_task_id = external_dag_id, external_task_id
        self.recursion_depth = recursion_depth
