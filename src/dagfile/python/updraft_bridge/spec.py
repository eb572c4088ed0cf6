"""From the author's objects to the JSON that `dagfile/spec.rs` reads.

The keys are those of a YAML DAG file. What the author left out is left out
here, too: defaults are the Rust side's.
"""

import datetime
import os

from . import notes
from .model import dates
from .model.dag import NOT_GIVEN
from .model.exceptions import AirflowException
from .model.operators import BashOperator, EmptyOperator
from .model.param import DagParam, plain
from .model.xcom_arg import XComArg

# Stands in JSON for a value that only Python can hold; at run time the task keeps its own.
AS_WRITTEN = {"__updraft__": "as_written"}


class Unwritable(AirflowException):
    """A value that a DAG file may not have."""


def dag_spec(dag, path, folder):
    spec = {
        "dag_id": dag.dag_id,
        "description": dag.description,
        "doc_md": dag.doc_md,
        "tags": sorted(str(tag) for tag in dag.tags),
        "timezone": timezone(dag),
        "start_date": date("start_date", dag.start_date),
        "end_date": date("end_date", dag.end_date),
        "catchup": None if dag.catchup is None else bool(dag.catchup),
        "max_active_runs": dag.max_active_runs,
        "concurrency" if dag.old_concurrency else "max_active_tasks": dag.max_active_tasks,
        "dagrun_timeout": seconds(dag.dagrun_timeout),
        "fail_fast": True if dag.fail_fast else None,
        "max_consecutive_failed_dag_runs": dag.max_consecutive_failed_dag_runs,
        "is_paused_upon_creation": dag.is_paused_upon_creation,
        "params": json_object(dag.params.dump(), "params of DAG `%s`" % dag.dag_id),
        "template_searchpath": [dag.template_searchpath] if isinstance(dag.template_searchpath, str)
        else [str(p) for p in dag.template_searchpath or []],
        "tasks": [task_spec(task, path, folder) for task in dag.tasks],
        "line": dag.line,
    }
    spec = given(spec)
    if dag.schedule is not NOT_GIVEN:
        # Here null has a meaning of its own: never.
        spec["schedule"] = schedule(dag)
    return spec


def task_spec(task, path, folder):
    spec = {
        "task_id": task.task_id,
        "operator_name": task.operator_name,
        "depends_on": [t.task_id for t in task.upstream_list],
        "trigger_rule": unless(str(task.trigger_rule), "all_success"),
        "retries": task.retries,
        "retry_delay": seconds(task.retry_delay),
        "retry_exponential_backoff": task.retry_exponential_backoff or None,
        "max_retry_delay": seconds(task.max_retry_delay),
        "execution_timeout": seconds(task.execution_timeout),
        "pool": task.pool,
        "pool_slots": unless(task.pool_slots, 1),
        "max_active_tis_per_dag": task.max_active_tis_per_dag,
        "priority_weight": unless(task.priority_weight, 1),
        "weight_rule": str(task.weight_rule) if "weight_rule" in task._given else None,
        "queue": task.queue,
        "owner": str(task.owner) if "owner" in task._given and task.owner else None,
        "do_xcom_push": None if task.do_xcom_push else False,
        "doc_md": task.doc_md or task.doc,
        "params": json_object(task.params.dump(), "params of task `%s`" % task.task_id),
        "start_date": date("start_date", own_date(task, "start_date")),
        "end_date": date("end_date", own_date(task, "end_date")),
        "line": task.line,
    }
    spec.update(work(task, path, folder))
    return given(spec)


def own_date(task, name):
    """A task's date that only repeats its DAG's says nothing."""
    value = getattr(task, name)
    return None if value == getattr(task.dag, name) else value


def work(task, path, folder):
    """What the task does: natively where its class is exactly one that Rust runs."""
    if task.comes_later is None:
        if type(task).execute is EmptyOperator.execute:
            return {"empty": True}
        if type(task) is BashOperator and task.output_processor is None and not needs_python(task):
            return {
                "bash": str(task.bash_command),
                "env": None if task.env is None else {str(k): str(v) for k, v in task.env.items()},
                "append_env": True if task.append_env else None,
                "cwd": None if task.cwd is None else os.fspath(task.cwd),
                "skip_on_exit_code": unless(task.skip_on_exit_code, [99]),
            }
    args, kwargs = task.rendered_arguments()
    code = {"dag_file": os.path.relpath(os.path.realpath(path), os.path.realpath(folder))}
    if args:
        code["op_args"] = [argument(a) for a in args]
    if kwargs:
        code["op_kwargs"] = {str(k): argument(v) for k, v in kwargs.items()}
    return {"python": code}


def needs_python(task):
    """A command or an environment that is not known before the task runs, other than as a template."""
    if isinstance(task.env, (XComArg, DagParam)) or task.output_encoding.lower().replace("_", "-") != "utf-8":
        return True
    return isinstance(task.bash_command, (list, tuple))


def argument(value):
    """An argument as JSON; what JSON cannot hold stays in Python."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else AS_WRITTEN
    if type(value) is dict and all(isinstance(k, str) for k in value):
        return {k: argument(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return [argument(v) for v in value]
    return AS_WRITTEN


def merge_rendered(written, rendered):
    """The author's own value with the strings in it replaced by their rendered form."""
    if rendered == AS_WRITTEN:
        return written
    if type(written) is dict and isinstance(rendered, dict) and set(map(str, written)) == set(rendered):
        return {k: merge_rendered(v, rendered[str(k)]) for k, v in written.items()}
    if type(written) in (list, tuple) and isinstance(rendered, list) and len(written) == len(rendered):
        return type(written)(merge_rendered(w, r) for w, r in zip(written, rendered))
    return rendered


# -- values

def given(spec):
    return {key: value for key, value in spec.items() if value is not None and value != [] and value != {}
            or key == "skip_on_exit_code" and value is not None}


def unless(value, default):
    """A value that says what is so anyway is left out."""
    return None if value == default else value


def seconds(length):
    return None if length is None else length.total_seconds()


def date(what, value):
    """ISO 8601; an aware date keeps its offset, a naive one is in the DAG's zone."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = dates.from_iso(value)
        except ValueError:
            raise Unwritable("expected %s to be an ISO 8601 date, got: %r" % (what, value)) from None
    return value.isoformat()


def timezone(dag):
    """The zone of the start date, in which a cron schedule ticks."""
    zone = getattr(dag.schedule, "timezone", None)
    if isinstance(zone, str):
        return zone
    if zone is None:
        zone = dates.zone_of(dag.start_date) or dates.zone_of(dag.end_date)
    if zone is None:
        return None
    name = dates.zone_name(zone)
    if name is None:
        notes.warn("the time zone %s of DAG `%s` has no name; its schedule ticks in UTC" % (zone, dag.dag_id),
                   "use zoneinfo.ZoneInfo(\"Europe/Zurich\") or pendulum.timezone(\"Europe/Zurich\")",
                   place=(dag.file, dag.line))
        return "UTC"
    return name


def schedule(dag):
    value = dag.schedule
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime.timedelta):
        months, years = getattr(value, "months", 0), getattr(value, "years", 0)
        # pendulum counts a month as 30 days and a year as 365 in a duration's total.
        return distance(value.total_seconds() - 86400 * (30 * months + 365 * years), months, years)
    kind = type(value).__name__
    if kind == "relativedelta":
        fixed = ((value.days * 24 + value.hours) * 60 + value.minutes) * 60 + value.seconds + value.microseconds / 1e6
        absolute = [n for n in ("year", "month", "day", "weekday", "hour", "minute", "second") if getattr(value, n) is not None]
        if absolute:
            raise Unwritable("the schedule of DAG `%s` is a relativedelta with `%s`; expected only distances such as "
                             "months=1; for a fixed day or hour use a cron expression" % (dag.dag_id, absolute[0]))
        return distance(fixed, value.months, value.years)
    if kind == "NullTimetable":
        return None
    if kind == "OnceTimetable":
        return "@once"
    if kind == "ContinuousTimetable":
        return "@continuous"
    if hasattr(value, "cron") and hasattr(value, "data_interval"):
        return {"cron": value.cron, "data_interval": value.data_interval}
    if hasattr(value, "delta") and hasattr(value, "data_interval"):
        delta = value.delta
        return {"seconds": delta.total_seconds(), "data_interval": value.data_interval}
    if isinstance(value, (list, tuple)) or kind.startswith(("Asset", "Dataset")):
        notes.warn("DAG `%s` is scheduled on assets, which Updraft does not follow yet; it runs only when triggered"
                   % dag.dag_id, place=(dag.file, dag.line))
        return None
    notes.warn("the schedule of DAG `%s` is a %s, which Updraft does not know yet; it runs only when triggered"
               % (dag.dag_id, kind), place=(dag.file, dag.line))
    return None


def distance(fixed, months=0, years=0):
    if not months and not years:
        return fixed
    return {"months": months + 12 * years, "seconds": fixed}


def json_object(values, what):
    return {str(k): json_value(plain(v), "%s, `%s`" % (what, k)) for k, v in values.items()}


def json_value(value, what):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    if isinstance(value, dict):
        return {str(k): json_value(v, what) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [json_value(v, what) for v in value]
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    raise Unwritable("expected %s to be JSON (text, number, boolean, list or mapping), got: %s" % (what, type(value).__name__))
