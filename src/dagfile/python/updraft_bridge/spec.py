"""From the author's objects to the JSON that `dagfile/spec.rs` reads.

The keys are those of a YAML DAG file. What the author left out is left out
here, too: defaults are the Rust side's.
"""

import datetime
import json
import os

from . import notes
from .model import asset as assets, callbacks, dates, templates
from .model.dag import NOT_GIVEN
from .model.exceptions import AirflowException
from .model.branching import LatestOnlyOperator
from .model.mapped import MappedArgument, MappedOperator, expansion_spec
from .model.operators import BashOperator, EmptyOperator
from .model.param import DagParam, Param
from .model.xcom_arg import LiteralValue, XComArg

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
        "params": params(dag.params, "params of DAG `%s`" % dag.dag_id),
        "render_template_as_native_obj": True if dag.render_template_as_native_obj else None,
        "template_searchpath": [dag.template_searchpath] if isinstance(dag.template_searchpath, str)
        else [str(p) for p in dag.template_searchpath or []],
        "task_groups": {group.group_id: group_spec(group) for group in dag.task_groups.values()},
        "on_success": told(dag, "on_success_callback", path, folder),
        "on_failure": told(dag, "on_failure_callback", path, folder),
        "deadlines": deadlines(dag, path, folder),
        "tasks": [task_spec(task, path, folder) for task in dag.tasks],
        "line": dag.line,
    }
    spec = given(spec)
    if dag.schedule is not NOT_GIVEN:
        # Here null has a meaning of its own: never.
        spec["schedule"] = schedule(dag)
    return spec


def group_spec(group):
    spec = {
        "label": group.display_name,
        "tooltip": group.tooltip,
        "parent": group.parent_group.group_id if group.parent_group is not None else None,
    }
    if group.expansion is not None:
        spec.update(expansion_spec(group.expansion, argument))
    return {key: value for key, value in spec.items() if value not in (None, "")}


def task_spec(task, path, folder):
    spec = {
        "task_id": task.task_id,
        "operator_name": task.operator_name,
        "depends_on": [t.task_id for t in task.upstream_list],
        "group": task.task_group.group_id if task.task_group is not None else None,
        "trigger_rule": None if task.is_teardown else unless(str(task.trigger_rule), "all_success"),
        "setup": task.is_setup or None,
        "teardown": teardown(task),
        "depends_on_past": bool(task.depends_on_past) or None,
        "wait_for_downstream": bool(task.wait_for_downstream) or None,
        "ignore_first_depends_on_past": bool(task.ignore_first_depends_on_past) or None,
        "wait_for_past_depends_before_skipping": bool(task.wait_for_past_depends_before_skipping) or None,
        "retries": task.retries,
        "retry_delay": seconds(task.retry_delay),
        "retry_exponential_backoff": task.retry_exponential_backoff or None,
        "max_retry_delay": seconds(task.max_retry_delay),
        "execution_timeout": seconds(task.execution_timeout),
        "pool": task.pool,
        "pool_slots": unless(task.pool_slots, 1),
        "max_active_tis_per_dag": task.max_active_tis_per_dag,
        "max_active_tis_per_dagrun": task.max_active_tis_per_dagrun,
        "priority_weight": unless(task.priority_weight, 1),
        "weight_rule": str(task.weight_rule) if "weight_rule" in task._given else None,
        "queue": task.queue,
        "owner": str(task.owner) if "owner" in task._given and task.owner else None,
        "do_xcom_push": None if task.do_xcom_push else False,
        "doc_md": task.doc_md or task.doc,
        "map_index_template": task.map_index_template,
        "params": params(task.params, "params of task `%s`" % task.task_id),
        "outlets": links(task, "outlets"),
        "inlets": links(task, "inlets"),
        "start_date": date("start_date", own_date(task, "start_date")),
        "end_date": date("end_date", own_date(task, "end_date")),
        "email": addresses(task.email),
        "email_on_failure": task.email_on_failure,
        "email_on_retry": task.email_on_retry,
        "line": task.line,
    }
    spec.update(work(task, path, folder))
    for name in callbacks.OF_TASK:
        # What runs in Python calls its functions itself, just before the work.
        inside = name == "on_execute_callback" and "python" in spec
        spec[name[: -len("_callback")]] = told(task, name, path, folder, inside)
    return given(spec)


def addresses(email):
    """One address, several in one text, or any collection of them."""
    if email is None or isinstance(email, str):
        return email or None
    return [str(address) for address in email]


def told(thing, name, path, folder, inside=False):
    """The callbacks of a task or a DAG, to be found again by their places when something happens; where the task calls
    them `inside` its own process, only those that need no Python."""
    written = []
    for place, function in enumerate(getattr(thing, name)):
        native = callbacks.native_spec(function)
        if native:
            written.append(native)
        if native or inside:
            continue
        why = callbacks.why_not(function)
        if why:
            notes.warn("`%s` of `%s` is not called: %s" % (name, getattr(thing, "task_id", thing.dag_id), why),
                       place=(thing.file, thing.line))
            continue
        kwargs = function.rendered_arguments() if isinstance(function, callbacks.BaseNotifier) else {}
        written.append(function_spec(callbacks.name_of(function), place, kwargs, path, folder))
    return written


def function_spec(name, place, kwargs, path, folder):
    found = {"dag_file": relative_file(path, folder), "place": place, "name": name,
             "kwargs": {str(k): argument(v) for k, v in kwargs.items()}}
    return {"python": given(found)}


def deadlines(dag, path, folder):
    written = []
    for place, alert in enumerate(dag.deadline):
        reference = alert.reference
        if isinstance(reference, datetime.datetime):
            reference = reference.isoformat()
        why = callbacks.why_not(alert.callback.callback_callable)
        if not isinstance(reference, str):
            why = "it is counted from the average of earlier runs, which Updraft does not follow yet"
        if why:
            notes.warn("a deadline of DAG `%s` has no effect: %s" % (dag.dag_id, why), place=(dag.file, dag.line))
            continue
        target = alert.callback.callback_callable
        try:
            native = callbacks.native_spec_of_deadline(alert.callback)
        except (TypeError, ValueError, OSError) as error:
            raise type(error)("the callback of a deadline of DAG `%s`: %s" % (dag.dag_id, error)) from error
        name = target if isinstance(target, str) else callbacks.name_of(target)
        written.append(given({
            "name": alert.name,
            "reference": reference,
            "interval": alert.interval.total_seconds(),
            "callback": [native or function_spec(name, place, alert.callback.kwargs, path, folder)],
        }))
    return written


def relative_file(path, folder):
    return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))


def teardown(task):
    if not task.is_teardown:
        return None
    return {"on_failure_fail_dagrun": True} if task.on_failure_fail_dagrun else True


def own_date(task, name):
    """A task's date that only repeats its DAG's says nothing."""
    value = getattr(task, name)
    return None if value == getattr(task.dag, name) else value


def work(task, path, folder):
    """What the task does, each text of it with the values of the DAG's own macros that it uses."""
    return templates.with_values(task.dag, own_work(task, path, folder))


def own_work(task, path, folder):
    """The same as its author wrote it: natively where its class is exactly one that Rust runs."""
    if task.comes_later is None:
        if isinstance(task, MappedOperator):
            native = mapped_work(task)
            if native is not None:
                return native
        if type(task).execute is EmptyOperator.execute:
            return {"empty": True}
        if type(task) is LatestOnlyOperator:
            return {"latest_only": True}
        if type(task) is BashOperator and task.output_processor is None and not needs_python(task):
            return {
                "bash": as_text(task.bash_command, task),
                "env": None if task.env is None else {str(k): str(v) for k, v in task.env.items()},
                "append_env": True if task.append_env else None,
                "cwd": None if task.cwd is None else os.fspath(task.cwd),
                "skip_on_exit_code": unless(task.skip_on_exit_code, [99]),
            }
    native = native_work(task) if task.comes_later is None else None
    if native is not None:
        return native
    args, kwargs = task.rendered_arguments()
    code = {"dag_file": relative_file(path, folder)}
    if templates.functions(task.dag) and templates.needs_python(task, [args, kwargs]):
        # They stay as they are and are rendered where their functions are.
        return dict({"python": code}, **(expansion_spec(task.expansion, argument) if isinstance(task, MappedOperator) else {}))
    if args:
        code["op_args"] = [argument(a) for a in args]
    if kwargs:
        code["op_kwargs"] = {str(k): argument(v) for k, v in kwargs.items()}
    work = {"python": code}
    if isinstance(task, MappedOperator):
        work.update(expansion_spec(task.expansion, argument))
    return work


def mapped_work(task):
    """What a mapped task does where Rust runs every instance of it, or None."""
    expansion = expansion_spec(task.expansion, argument)
    if task.mapped_class.execute is EmptyOperator.execute:
        return dict(expansion, empty=True)
    written = json.dumps(expansion)
    if json.dumps(AS_WRITTEN) not in written and '{"map":' not in written:
        native = mapped_native(task, expansion)
        if native is not None:
            return native
    if task.mapped_class is not BashOperator or json.dumps(AS_WRITTEN) in written or '{"map":' in written:
        return None
    names = set((task.expansion.arguments or {})) | set(task.partial)
    if task.expansion.arguments is None and "bash_command" not in task.partial:
        names.add("bash_command")
    partial = {k: v for k, v in task.partial.items() if k not in ("dag", "task_group")}
    # As one of them would be, to learn what is the same for all.
    if "bash_command" not in partial:
        partial["bash_command"] = "-"
    one = BashOperator(**dict(partial, task_id=task.task_id))
    if "bash_command" not in names or one.output_processor is not None or needs_python(one):
        return None
    given = {
        "bash": as_text(one.bash_command, task) if "bash_command" in task.partial else None,
        "operator": "BashOperator",
        "env": None if one.env is None else {str(k): str(v) for k, v in one.env.items()},
        "append_env": True if one.append_env else None,
        "cwd": None if one.cwd is None else os.fspath(one.cwd),
        "skip_on_exit_code": unless(one.skip_on_exit_code, [99]),
    }
    return dict(given, **expansion)


# What an operator without Python has to have from the beginning.
REQUIRED = {"SQLExecuteQueryOperator": {"sql"}, "PostgresOperator": {"sql"}, "MySqlOperator": {"sql"}, "SqliteOperator": {"sql"},
            "EmailOperator": {"to", "subject", "html_content"}, "TriggerDagRunOperator": {"trigger_dag_id"}}
# Arguments that are functions, or the names of functions.
FUNCTIONS = {"handler", "response_check", "response_filter"}


def mapped_native(task, expansion):
    """The same of an operator that Updraft does without Python, where only plain arguments differ."""
    from .model import native

    cls, names = task.mapped_class, set(task.expansion.arguments or ())
    if not issubclass(cls, native.NativeOperator) or cls.__module__ != native.__name__ or not names:
        return None
    if not names <= set(cls.native_fields) - FUNCTIONS or not REQUIRED.get(cls.__name__, set()) <= set(task.partial):
        return None
    one = cls(**dict({k: v for k, v in task.partial.items() if k not in ("dag", "task_group")}, task_id=task.task_id))
    if templates.functions(task.dag) and templates.needs_python(task, [one._native, expansion]):
        return None
    try:
        found = one.native_spec()
    except native.NotNative:
        return None
    # A class that nothing is said of cannot be written down.
    return dict(expansion, operator=found[0], arguments=found[1]) if found and found[1] else None


def as_text(value, task):
    """A text argument; one that another task leaves becomes a template."""
    if isinstance(value, LiteralValue):
        return "{% raw %}" + str(value.value) + "{% endraw %}"
    return value.as_template(task.task_group) if isinstance(value, XComArg) else str(value)


def native_work(task):
    """The class and arguments of a task that Updraft does without Python; None for every other."""
    from .model import native, sensors

    if not isinstance(task, native.NativeOperator) or type(task).__module__ not in (native.__name__, sensors.__name__):
        return None
    if templates.functions(task.dag) and templates.needs_python(task, task._native):
        return None
    try:
        found = task.native_spec()
    except native.NotNative as why:
        task.comes_later, task.why = type(task).__name__ + " with such an argument", str(why)
        notes.warn("task `%s` cannot run: %s" % (task.task_id, why), place=(task.file, task.line))
        return None
    return None if found is None else {"operator": found[0], "arguments": found[1]}


def needs_python(task):
    """A command or an environment that is not known before the task runs, other than as a template."""
    if templates.functions(task.dag) and templates.needs_python(task, [task.bash_command, task.env, task.cwd]):
        return True
    if isinstance(task.env, (XComArg, DagParam, MappedArgument)) or task.output_encoding.lower().replace("_", "-") != "utf-8":
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


def period(value):
    """The distance that a timedelta is, or a duration of pendulum's."""
    months, years = getattr(value, "months", 0), getattr(value, "years", 0)
    # pendulum counts a month as 30 days and a year as 365 in a duration's total.
    return distance(value.total_seconds() - 86400 * (30 * months + 365 * years), months, years)


def schedule(dag):
    return one_schedule(dag, dag.schedule)


def one_schedule(dag, value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime.timedelta):
        return period(value)
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
    if isinstance(value, assets.AssetOrTimeSchedule):
        return {"assets": on_assets(dag, value.assets), "timetable": one_schedule(dag, value.timetable)}
    if isinstance(value, (list, tuple, set, assets.BaseAsset)):
        # An empty list is no schedule.
        return {"assets": on_assets(dag, value)} if not isinstance(value, (list, tuple, set)) or value else None
    notes.warn("the schedule of DAG `%s` is a %s, which Updraft does not know yet; it runs only when triggered"
               % (dag.dag_id, kind), place=(dag.file, dag.line))
    return None


def on_assets(dag, value):
    condition = assets.condition(value)
    return json_value(condition, "the schedule of DAG `%s`" % dag.dag_id)


def links(task, what):
    return json_value(assets.links(getattr(task, what)), "`%s` of task `%s`" % (what, task.task_id))


def distance(fixed, months=0, years=0):
    if not months and not years:
        return fixed
    return {"months": months + 12 * years, "seconds": fixed}


def params(values, what):
    """Plain values as they are; a `Param` with its schema, in the form of a YAML file."""
    written = {}
    for name, value in values.written().items():
        place = "%s, `%s`" % (what, name)
        if isinstance(value, Param):
            written[str(name)] = json_value(value.written(), place)
        elif isinstance(value, dict) and ("default" in value or "schema" in value):
            # A value that looks like a schema and is none.
            written[str(name)] = {"default": json_value(value, place)}
        else:
            written[str(name)] = json_value(value, place)
    return written


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
