"""From the objects of the real Task SDK to the JSON that `dagfile/spec.rs` reads: the twin of `spec.py`.

What a task does is left to Airflow's own runner, which reads the file again. Only
plain Bash and empty tasks are described whole: Rust does those without Python.
What the author left out is left out here, too, as far as the objects still tell.
"""

import datetime

from airflow.sdk import DAG
from airflow.sdk.definitions.asset import BaseAsset
from airflow.sdk.definitions.mappedoperator import MappedOperator

from .spec import Unwritable, argument, distance, given, json_value, period, relative_file, seconds, unless
from . import notes

BASH = ("airflow.providers.standard.operators.bash", "BashOperator")
EMPTY = ("airflow.providers.standard.operators.empty", "EmptyOperator")
LATEST_ONLY = ("airflow.providers.standard.operators.latest_only", "LatestOnlyOperator")

CALLBACKS = ("on_execute_callback", "on_success_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback")


def dag_spec(dag, path, folder):
    spec = given({
        "dag_id": dag.dag_id,
        "description": dag.description,
        "doc_md": dag.doc_md,
        "tags": sorted(str(tag) for tag in dag.tags),
        "timezone": timezone(dag),
        "start_date": date(dag.start_date),
        "end_date": date(dag.end_date),
        "catchup": configured(dag, "catchup"),
        "max_active_runs": configured(dag, "max_active_runs"),
        "max_active_tasks": configured(dag, "max_active_tasks"),
        "dagrun_timeout": seconds(dag.dagrun_timeout),
        "fail_fast": True if dag.fail_fast else None,
        "max_consecutive_failed_dag_runs": configured(dag, "max_consecutive_failed_dag_runs"),
        "is_paused_upon_creation": dag.is_paused_upon_creation,
        "params": params(dag.params, "params of DAG `%s`" % dag.dag_id),
        "render_template_as_native_obj": True if dag.render_template_as_native_obj else None,
        "template_searchpath": [dag.template_searchpath] if isinstance(dag.template_searchpath, str)
        else [str(p) for p in dag.template_searchpath or []],
        "task_groups": {group.group_id: group_spec(group) for group in groups(dag)},
        "tasks": [task_spec(dag, task, path, folder) for task in dag.tasks],
    })
    for name, key in (("on_success_callback", "on_success"), ("on_failure_callback", "on_failure")):
        told = callbacks(getattr(dag, name), path, folder)
        if told:
            spec[key] = told
    if dag.deadline:
        notes.warn("a deadline of DAG `%s` has no effect where Airflow's Task SDK runs its tasks" % dag.dag_id,
                   place=(path, None))
    # Here null has a meaning of its own: never.
    spec["schedule"] = schedule(dag, dag.schedule)
    return spec


def configured(dag, name):
    """A value of the DAG that is not what Airflow's own configuration gives to every DAG."""
    import attrs

    field = getattr(attrs.fields(DAG), name)
    default = field.default
    if isinstance(default, attrs.Factory):
        default = default.factory(dag) if default.takes_self else default.factory()
    value = getattr(dag, name)
    return None if value == default else value


def callbacks(functions, path, folder):
    """The functions of a DAG, to be found again by their places when something happens."""
    if not functions:
        return []
    functions = functions if isinstance(functions, (list, tuple)) else [functions]
    return [
        {"python": {"dag_file": relative_file(path, folder), "place": place,
                    "name": getattr(function, "__name__", type(function).__name__)}}
        for place, function in enumerate(functions)
    ]


def groups(dag):
    """All task groups but the root, in the order of the file, parents first."""
    def below(group):
        for child in group.children.values():
            if hasattr(child, "children"):
                yield child
                yield from below(child)

    return list(below(dag.task_group))


def group_spec(group):
    parent = getattr(group, "parent_group", None)
    spec = {
        "label": unless(getattr(group, "group_display_name", "") or None, group.group_id.split(".")[-1]),
        "tooltip": group.tooltip,
        "parent": parent.group_id if parent is not None and not parent.is_root else None,
    }
    expansion = getattr(group, "_expand_input", None)
    if expansion is not None:
        spec.update(expansion_spec(expansion))
    return {key: value for key, value in spec.items() if value not in (None, "")}


def task_spec(dag, task, path, folder):
    own = given_arguments(task)

    def said(name, default=None):
        """What the author gave, or what is so for everything."""
        value = getattr(task, name, default)
        return value if name in own else None

    is_teardown = bool(task.is_teardown)
    group = task.task_group
    spec = given({
        "task_id": task.task_id,
        "operator_name": getattr(task, "operator_name", None) or task.task_type,
        "depends_on": sorted(task.upstream_task_ids),
        "group": group.group_id if group is not None and not group.is_root else None,
        "trigger_rule": None if is_teardown else unless(word(task.trigger_rule), "all_success"),
        "setup": True if task.is_setup else None,
        "teardown": teardown(task) if is_teardown else None,
        "depends_on_past": bool(task.depends_on_past) or None,
        "wait_for_downstream": bool(task.wait_for_downstream) or None,
        "ignore_first_depends_on_past": bool(task.ignore_first_depends_on_past) or None,
        "wait_for_past_depends_before_skipping": bool(task.wait_for_past_depends_before_skipping) or None,
        "retries": said("retries"),
        "retry_delay": seconds(said("retry_delay")),
        "retry_exponential_backoff": backoff(task.retry_exponential_backoff),
        "max_retry_delay": seconds(task.max_retry_delay),
        "execution_timeout": seconds(task.execution_timeout),
        "pool": unless(task.pool, "default_pool"),
        "pool_slots": unless(task.pool_slots, 1),
        "max_active_tis_per_dag": task.max_active_tis_per_dag,
        "max_active_tis_per_dagrun": task.max_active_tis_per_dagrun,
        "priority_weight": unless(task.priority_weight, 1),
        "weight_rule": word(said("weight_rule")) if said("weight_rule") else None,
        "queue": said("queue"),
        "owner": str(task.owner) if said("owner") else None,
        "do_xcom_push": False if said("do_xcom_push") is False else None,
        "doc_md": getattr(task, "doc_md", None) or getattr(task, "doc", None),
        "map_index_template": getattr(task, "map_index_template", None),
        "params": own_params(dag, task),
        "outlets": links(task.outlets),
        "inlets": links(task.inlets),
        "start_date": date(unless(task.start_date, dag.start_date)),
        "end_date": date(unless(task.end_date, dag.end_date)),
        "email": addresses(said("email")),
        "email_on_failure": said("email_on_failure"),
        "email_on_retry": said("email_on_retry"),
    })
    spec.update(given(work(dag, task, path, folder)))
    return spec


def given_arguments(task):
    """The names of the arguments that the author gave, also by `default_args`."""
    if isinstance(task, MappedOperator):
        partial = task.partial_kwargs
        # `partial` is filled up with what is so anyway; what differs from that was given.
        return {name for name, value in partial.items() if not is_usual(name, value)}
    return set(getattr(task, "_BaseOperator__init_kwargs", ()))


def is_usual(name, value):
    usual = {"queue": "default", "owner": "airflow", "retries": 0, "retry_delay": datetime.timedelta(minutes=5),
             "email_on_failure": True, "email_on_retry": True, "email": None, "do_xcom_push": True}
    if name == "weight_rule":
        return word(value) == "downstream"
    return name in usual and usual[name] == value


def addresses(email):
    if email is None or isinstance(email, str):
        return email or None
    return [str(address) for address in email]


def word(value):
    """An enumeration's word, or the name of a strategy."""
    return str(getattr(value, "value", value))


def backoff(value):
    """`False` and 0 are none; `True` doubles, as it always did."""
    if not value:
        return None
    return True if value is True or value == 2 else float(value)


def teardown(task):
    return {"on_failure_fail_dagrun": True} if task.on_failure_fail_dagrun else True


# -- work

def work(dag, task, path, folder):
    if not isinstance(task, MappedOperator):
        native = native_work(dag, task)
        if native is not None:
            return native
        return {"python": {"dag_file": relative_file(path, folder)}}
    expansion = getattr(task, task._expand_input_attr)
    return dict(expansion_spec(expansion), python={"dag_file": relative_file(path, folder)})


def native_work(dag, task):
    """What Rust does as well as the real class: exactly that class, with nothing in it that only Python can do."""
    kind = (type(task).__module__, type(task).__name__)
    if kind == LATEST_ONLY:
        return {"latest_only": True}
    if kind not in (BASH, EMPTY) or any(getattr(task, name, None) for name in CALLBACKS):
        return None
    if getattr(task, "_pre_execute_hook", None) or getattr(task, "_post_execute_hook", None):
        return None
    if kind == EMPTY:
        return {"empty": True}
    plain = isinstance(task.bash_command, str) and (task.env is None or is_text_map(task.env))
    own = given_arguments(task)
    if not plain or "output_processor" in own or getattr(task, "run_as_user", None):
        return None
    if dag.user_defined_macros or dag.user_defined_filters or dag.jinja_environment_kwargs:
        return None
    if str(task.output_encoding).lower().replace("_", "-") != "utf-8":
        return None
    if not (task.cwd is None or isinstance(task.cwd, str)):
        return None
    codes = task.skip_on_exit_code
    codes = [codes] if isinstance(codes, int) else list(codes or [])
    return {
        "bash": task.bash_command,
        "env": task.env,
        "append_env": True if task.append_env else None,
        "cwd": task.cwd,
        "skip_on_exit_code": unless(codes, [99]),
    }


def is_text_map(env):
    return isinstance(env, dict) and all(isinstance(k, str) and isinstance(v, str) for k, v in env.items())


def expansion_spec(expansion):
    value = expansion.value
    if type(expansion).__name__ == "ListOfDictsExpandInput":
        return {"expand_kwargs": source_spec(value) or {"concat": []}}
    return {"expand": {name: source_spec(source) for name, source in value.items()}}


def source_spec(source):
    """Where values come from; the forms are those of `written/expand.rs`."""
    kind = type(source).__name__
    if kind == "PlainXComArg":
        key = source.key
        return dict({"xcom": source.operator.task_id}, **({} if key == "return_value" else {"key": key}))
    if kind == "MapXComArg":
        return {"map": source_spec(source.arg)}
    if kind == "ZipXComArg":
        spec = {"zip": [source_spec(arg) for arg in source.args]}
        fill = source.fillvalue
        if type(fill).__name__ != "ArgNotSet" and not callable(getattr(fill, "is_arg_set", None)):
            from airflow.sdk.definitions._internal.types import NOTSET

            if fill is not NOTSET:
                spec["fillvalue"] = argument(fill)
        return spec
    if kind == "ConcatXComArg":
        return {"concat": [source_spec(arg) for arg in source.args]}
    if isinstance(source, dict):
        return {"dict": {str(k): argument(v) for k, v in source.items()}}
    if isinstance(source, (list, tuple, set)):
        return [argument(value) for value in source]
    if hasattr(source, "__len__") and hasattr(source, "__iter__"):
        return [argument(value) for value in source]
    raise Unwritable("expected a list, a dict or the result of a task to expand over, got: %s" % kind)


# -- values

def timezone(dag):
    if dag.start_date is None and dag.end_date is None and "timezone" not in vars(type(dag.timetable)):
        return None
    name = getattr(dag.timezone, "name", None)
    return str(name) if name else None


def date(value):
    return None if value is None else value.isoformat()


def params(values, what):
    written = {}
    for name in values:
        value = values.get_param(name)
        place = "%s, `%s`" % (what, name)
        schema = {key: part for key, part in value.schema.items() if key != "__class"}
        if value.description is not None:
            schema.setdefault("description", value.description)
        if schema:
            one = {"schema": schema}
            kinds = schema.get("type")
            allows_none = kinds is None or "null" in ([kinds] if isinstance(kinds, str) else kinds)
            if value.has_value and (value.value is not None or allows_none):
                one["default"] = value.value
            written[str(name)] = json_value(one, place)
        elif value.has_value:
            plain = value.value
            wrapped = isinstance(plain, dict) and ("default" in plain or "schema" in plain)
            written[str(name)] = json_value({"default": plain} if wrapped else plain, place)
    return written


def own_params(dag, task):
    """Of a task's parameters those that are not its DAG's."""
    values = task.params
    if not hasattr(values, "get_param"):
        from airflow.sdk.definitions.param import ParamsDict

        values = ParamsDict(values)
    everything = params(values, "params of task `%s`" % task.task_id)
    of_dag = params(dag.params, "params of DAG `%s`" % dag.dag_id)
    return {name: value for name, value in everything.items() if of_dag.get(name) != value or name not in of_dag}


def schedule(dag, value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime.timedelta):
        return period(value)
    kind = type(value).__name__
    if kind == "relativedelta":
        fixed = ((value.days * 24 + value.hours) * 60 + value.minutes) * 60 + value.seconds + value.microseconds / 1e6
        return distance(fixed, value.months, value.years)
    if kind == "NullTimetable":
        return None
    if kind == "OnceTimetable":
        return "@once"
    if kind == "ContinuousTimetable":
        return "@continuous"
    if kind in ("CronTriggerTimetable", "CronDataIntervalTimetable"):
        return {"cron": value.expression, "data_interval": kind == "CronDataIntervalTimetable"}
    if kind in ("DeltaTriggerTimetable", "DeltaDataIntervalTimetable") and isinstance(value.delta, datetime.timedelta):
        return {"seconds": value.delta.total_seconds(), "data_interval": kind == "DeltaDataIntervalTimetable"}
    if kind == "AssetOrTimeSchedule":
        return {"assets": condition(value.asset_condition), "timetable": schedule(dag, value.timetable)}
    if kind == "AssetTriggeredTimetable":
        return {"assets": condition(value.asset_condition)}
    if isinstance(value, (list, tuple, set)):
        return {"assets": {"all": [condition(one) for one in value]}} if value else None
    if isinstance(value, BaseAsset):
        return {"assets": condition(value)}
    notes.warn("the schedule of DAG `%s` is a %s, which Updraft does not know yet; it runs only when triggered"
               % (dag.dag_id, kind), place=(notes.dag_file, None))
    return None


def condition(value):
    kind = type(value).__name__
    if kind in ("AssetAny", "AssetAll"):
        return {"any" if kind == "AssetAny" else "all": [condition(one) for one in value.objects]}
    return link(value)


def link(value):
    kind = type(value).__name__
    if kind == "AssetAlias":
        return {"alias": value.name}
    if kind in ("AssetNameRef", "AssetUriRef"):
        return value.name if kind == "AssetNameRef" else value.uri
    written = {"name": value.name, "uri": value.uri, "group": unless(value.group, "asset"),
               "extra": value.extra or None}
    return {key: part for key, part in written.items() if part is not None}


def links(values):
    """What inlets and outlets hold; what is no asset is left out."""
    known = ("Asset", "Dataset", "Model", "AssetAlias", "AssetNameRef", "AssetUriRef")
    found = [link(value) for value in values or [] if type(value).__name__ in known]
    return json_value(found, "inlets and outlets")
