"""Sensors. Those of Airflow's own run without Python; `poke` serves the classes that authors build on them.

A sensor of an author's own pokes here: in mode `poke` it sleeps in its slot, in
mode `reschedule` it says when to look again and leaves.
"""

import datetime
import hashlib
import os
import time

from . import dates
from .dates import utcnow
from .exceptions import (
    AirflowException, AirflowFailException, AirflowRescheduleException, AirflowSensorTimeout, AirflowSkipException,
    AirflowTaskTimeout,
)
from .native import NativeOperator, plain
from .operator import BaseOperator
from .operators import call
from .xcom_arg import resolve

# The arguments that all sensors share, with their defaults.
COMMON = {
    "poke_interval": 60, "timeout": 7 * 24 * 3600, "soft_fail": False, "mode": "poke", "exponential_backoff": False,
    "max_wait": None, "silent_fail": False, "never_fail": False,
}


def seconds(name, value):
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise AirflowException("The %s must be a timedelta or a non-negative number, got: %r" % (name, value))
    return value


class PokeReturnValue:
    """What a `poke` may return: whether it is done, and the value to keep."""

    def __init__(self, is_done, xcom_value=None):
        self.is_done, self.xcom_value = is_done, xcom_value

    def __bool__(self):
        return bool(self.is_done)


class BaseSensorOperator(BaseOperator):
    """A task that waits: `poke(self, context)` says whether it is done."""

    ui_color = "#e6f1f2"
    valid_modes = ("poke", "reschedule")

    def __init__(self, *, poke_interval=60, timeout=7 * 24 * 3600, soft_fail=False, mode="poke",
                 exponential_backoff=False, max_wait=None, silent_fail=False, never_fail=False, deferrable=False, **kwargs):
        super().__init__(**kwargs)
        self._set_common(poke_interval=poke_interval, timeout=timeout, soft_fail=soft_fail, mode=mode,
                         exponential_backoff=exponential_backoff, max_wait=max_wait, silent_fail=silent_fail,
                         never_fail=never_fail)
        self.deferrable = deferrable

    def _set_common(self, **common):
        self.poke_interval = seconds("poke_interval", common["poke_interval"])
        self.timeout = seconds("timeout", common["timeout"])
        if common["mode"] not in self.valid_modes:
            raise AirflowException(
                "The mode must be one of %s, got: %r" % (", ".join(self.valid_modes), common["mode"]))
        if common["soft_fail"] and common["never_fail"]:
            raise ValueError("soft_fail and never_fail are mutually exclusive, you can not provide both.")
        self.mode, self.soft_fail, self.never_fail = common["mode"], common["soft_fail"], common["never_fail"]
        self.exponential_backoff, self.silent_fail = common["exponential_backoff"], common["silent_fail"]
        self.max_wait = None if common["max_wait"] is None else seconds("max_wait", common["max_wait"])

    @property
    def reschedule(self):
        return self.mode == "reschedule"

    def poke(self, context):
        raise AirflowException("Override me.")

    def execute(self, context):
        ti = context["ti"]
        since = ti.waiting_since or utcnow()
        pokes = ti.reschedules
        while True:
            pokes += 1
            value = self._look(context)
            if value:
                self.log.info("Success criteria met. Exiting.")
                return value.xcom_value if isinstance(value, PokeReturnValue) else None
            now = utcnow()
            waited = (now - since).total_seconds()
            if waited > self.timeout:
                message = ("Sensor has timed out; run duration of %s seconds exceeds the specified timeout of %s."
                           % (waited, self.timeout))
                if self.soft_fail or self.never_fail:
                    raise AirflowSkipException(message)
                raise AirflowSensorTimeout(message)
            interval = self._interval(since, waited, pokes)
            if self.reschedule:
                raise AirflowRescheduleException(now + datetime.timedelta(seconds=interval))
            time.sleep(interval)

    def _look(self, context):
        try:
            return self.poke(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException("Skipping due to soft_fail is set to True.") from error
            raise
        except (AirflowSkipException, AirflowRescheduleException):
            raise
        except Exception as error:
            if self.silent_fail:
                self.log.exception("Sensor poke failed")
                return False
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    def _interval(self, since, waited, pokes):
        if not self.exponential_backoff:
            return self.poke_interval
        base = max(int(self.poke_interval * 2 ** min(pokes - 2, 40)), 1)
        name = "%s#%s#%s#%d" % (self.dag_id, self.task_id, since.timestamp(), pokes)
        interval = min(base + int(hashlib.sha1(name.encode()).hexdigest(), 16) % base, self.timeout - int(waited))
        return max(min(interval, self.max_wait) if self.max_wait is not None else interval, 0)


def poke_mode_only(cls):
    """A class whose `poke` keeps something in memory between two looks."""
    cls.valid_modes = ("poke",)
    return cls


class NativeSensor(NativeOperator, BaseSensorOperator):
    """One of Airflow's sensors: Updraft itself looks, or waits without looking."""

    def __init__(self, *args, **kwargs):
        kwargs["deferrable"] = bool(kwargs.get("deferrable")) or type(self).__name__.endswith("Async")
        super().__init__(*args, **kwargs)

    def native_arguments(self):
        arguments = super().native_arguments()
        for name, default in COMMON.items():
            if getattr(self, name) != default:
                arguments[name] = plain(name, getattr(self, name))
        if self.deferrable:
            arguments["deferrable"] = True
        return arguments

    execute = BaseSensorOperator.execute


class FileSensor(NativeSensor):
    template_fields = ("filepath",)
    native_fields = ("filepath", "fs_conn_id", "recursive")
    ignored_fields = ("start_from_trigger", "trigger_kwargs")

    def poke(self, context):
        import glob

        from .exceptions import AirflowNotFoundException
        from .store_values import Connection

        try:
            base = Connection.get(self.fs_conn_id or "fs_default").extra_dejson.get("path") or "/"
        except AirflowNotFoundException:
            if self.fs_conn_id is not None:
                raise
            base = "/"
        full = os.path.join(base, self.filepath)
        self.log.info("Poking for file %s", full)
        for path in glob.glob(full, recursive=bool(self.recursive)):
            if os.path.isfile(path) or any(files for _, _, files in os.walk(path)):
                return True
        return False


class HttpSensor(NativeSensor):
    """With a Python function as `response_check` it looks in Python."""

    template_fields = ("endpoint", "request_params", "headers")
    native_fields = ("endpoint", "http_conn_id", "method", "request_params", "headers",
                     "response_error_codes_allowlist", "response_check", "extra_options")
    ignored_fields = ("tcp_keep_alive", "tcp_keep_alive_idle", "tcp_keep_alive_count", "tcp_keep_alive_interval",
                      "request_kwargs", "auth_type")

    def native_spec(self):
        return None if callable(self.response_check) else super().native_spec()

    def poke(self, context):
        from .http import request

        try:
            response = request(self, self.method or "GET", self.endpoint, self.request_params)
        except AirflowException as error:
            if any(str(error).startswith(str(code)) for code in self.response_error_codes_allowlist or ("404",)):
                return False
            raise
        return call(self.response_check, [response], {}, context) if callable(self.response_check) else True


class SqlSensor(NativeSensor):
    template_fields = ("sql", "hook_params", "parameters")
    native_fields = ("conn_id", "sql", "parameters", "success", "failure", "fail_on_empty", "database")
    ignored_fields = ("hook_params", "selector")

    def __init__(self, *args, **kwargs):
        self.selector, self.hook_params = kwargs.get("selector"), dict(kwargs.get("hook_params") or {})
        super().__init__(*args, **kwargs)

    def native_spec(self):
        """With a Python function it looks in Python, which needs a driver."""
        is_python = any(callable(value) for value in (self.success, self.failure, self.selector))
        return None if is_python else super().native_spec()

    def poke(self, context):
        from .sql_hook import hook_for
        from .store_values import Connection

        records = hook_for(Connection.get(self.conn_id), self.database, **self.hook_params).get_records(
            self.sql, self.parameters)
        if not records:
            if self.fail_on_empty:
                raise AirflowException("No rows returned, raising as per fail_on_empty flag")
            return False
        value = self.selector(records[0]) if callable(self.selector) else records[0][0]
        if callable(self.failure) and self.failure(value):
            raise AirflowException("Failure criteria met. self.failure(%s) returned True" % (value,))
        return bool(self.success(value)) if callable(self.success) else bool(value)


SQLSensor = SqlSensor


class TimeSensor(NativeSensor):
    template_fields = ()
    native_fields = ("target_time",)
    ignored_fields = ("start_from_trigger", "trigger_kwargs", "end_from_trigger")

    def poke(self, context):
        zone = dates.zone_of(self.dag.start_date) if self.dag is not None else None
        now = utcnow().astimezone(zone or datetime.timezone.utc)
        return now.time() > self.target_time


class TimeSensorAsync(TimeSensor):
    pass


class TimeDeltaSensor(NativeSensor):
    template_fields = ()
    native_fields = ("delta",)
    ignored_fields = ("end_from_trigger",)

    def poke(self, context):
        base = context["data_interval_end"] or context["logical_date"] or context["dag_run"].run_after
        return utcnow() > base + self.delta


class TimeDeltaSensorAsync(TimeDeltaSensor):
    pass


class DateTimeSensor(NativeSensor):
    template_fields = ("target_time",)
    native_fields = ("target_time",)
    ignored_fields = ("start_from_trigger", "trigger_kwargs", "end_from_trigger")

    def poke(self, context):
        target = self.target_time
        target = dates.from_iso(target) if isinstance(target, str) else target
        if target.tzinfo is None:
            target = target.replace(tzinfo=datetime.timezone.utc)
        return utcnow() > target


class DateTimeSensorAsync(DateTimeSensor):
    pass


class ExternalTaskSensor(NativeSensor):
    """With an `execution_date_fn` it looks in Python; else the scheduler knows when the other task has ended."""

    template_fields = ("external_dag_id", "external_task_id", "external_task_ids", "external_task_group_id")
    native_fields = ("external_dag_id", "external_task_id", "external_task_ids", "external_task_group_id",
                     "allowed_states", "skipped_states", "failed_states", "execution_delta", "check_existence")
    ignored_fields = ("poll_interval",)

    def __init__(self, *args, execution_date_fn=None, logical_date_fn=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.execution_date_fn = execution_date_fn or logical_date_fn
        if self.execution_date_fn is not None and self.execution_delta is not None:
            raise ValueError("Only one of `execution_delta` or `execution_date_fn` may be provided to "
                             "ExternalTaskSensor; not both.")

    def native_spec(self):
        return None if self.execution_date_fn is not None else super().native_spec()

    def poke(self, context):
        from .context import ask

        base = context["logical_date"] or context["dag_run"].run_after
        if self.execution_date_fn is not None:
            found = call(self.execution_date_fn, [base], {}, context)
            wanted = list(found) if isinstance(found, (list, tuple, set)) else [found]
        else:
            wanted = [base - self.execution_delta if self.execution_delta else base]
        ids = [self.external_task_id] if self.external_task_id else list(self.external_task_ids or ())
        for date in wanted:
            tasks = {
                "dag": self.external_dag_id, "date": date.isoformat(), "tasks": ids,
                "group": self.external_task_group_id, "allowed": words(self.allowed_states, ["success"]),
                "skipped": words(self.skipped_states, []), "failed": words(self.failed_states, []),
                "check_existence": bool(self.check_existence),
            }
            seen = ask({"question": "look_at", "tasks": tasks})
            if seen["seen"] == "failed":
                if self.soft_fail:
                    raise AirflowSkipException(seen["why"])
                raise AirflowException(seen["why"])
            if seen["seen"] == "skipped":
                raise AirflowSkipException(seen["why"])
            if seen["seen"] != "done":
                return False
        return True


def words(states, default):
    return default if states is None else [plain("states", state) for state in states]


class PythonSensor(BaseSensorOperator):
    template_fields = ("templates_dict", "op_args", "op_kwargs")

    def __init__(self, python_callable=None, op_args=None, op_kwargs=None, templates_dict=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise TypeError("expected python_callable of %s `%s` to be a function, got: %r"
                            % (type(self).__name__, self.task_id, python_callable))
        self.python_callable = python_callable
        self.op_args, self.op_kwargs = op_args or [], op_kwargs or {}
        self.templates_dict = templates_dict

    def poke(self, context):
        if self.templates_dict:
            context["templates_dict"] = self.templates_dict
        args = [resolve(a, context) for a in self.op_args]
        value = call(self.python_callable, args, resolve(dict(self.op_kwargs), context), context)
        return value if isinstance(value, PokeReturnValue) else PokeReturnValue(bool(value))


class DecoratedSensor(PythonSensor):
    """The task that a call of a `@task.sensor` function makes."""

    operator_name = task_type = property(lambda self: "@task.sensor")

    def __init__(self, kind="sensor", **kwargs):
        super().__init__(**kwargs)


class BashSensor(BaseSensorOperator):
    template_fields = ("bash_command", "env")

    def __init__(self, *, bash_command, env=None, output_encoding="utf-8", retry_exit_code=None, **kwargs):
        super().__init__(**kwargs)
        self.bash_command, self.env, self.retry_exit_code = bash_command, env, retry_exit_code
        self.output_encoding = output_encoding

    def poke(self, context):
        import subprocess

        code = subprocess.call(["bash", "-c", str(self.bash_command)], env=self.env)
        if code == 0:
            return True
        if self.retry_exit_code is not None and code != self.retry_exit_code:
            raise AirflowFailException("Command exited with return code %d. Task Failed." % code)
        return False


class DayOfWeekSensor(BaseSensorOperator):
    def __init__(self, *, week_day, use_task_logical_date=False, use_task_execution_day=False, **kwargs):
        super().__init__(**kwargs)
        from .branching import weekday
        from .words import WeekDay

        days = [week_day] if isinstance(week_day, (str, WeekDay)) else list(week_day)
        self.week_day, self._days = week_day, {weekday(day) for day in days}
        self.use_task_logical_date = use_task_logical_date or use_task_execution_day

    def poke(self, context):
        now = context["logical_date"] if self.use_task_logical_date and context["logical_date"] else utcnow()
        return now.astimezone(self.dag.timezone or datetime.timezone.utc).isoweekday() in self._days
