"""The context of a running task: what its code may ask for by name."""

import collections
import datetime

from . import dates
from .database import ModelType, refusal
from .exceptions import AirflowException
from .param import ParamsDict


# Every name of the context, for code that has to know them before a task runs.
NAMES = frozenset(
    "dag dag_run task ti task_instance run_id params conf macros var conn map_index logical_date execution_date "
    "data_interval_start data_interval_end inlets outlets inlet_events outlet_events triggering_asset_events "
    "triggering_dataset_events task_reschedule_count test_mode templates_dict prev_data_interval_start_success "
    "prev_data_interval_end_success prev_start_date_success prev_end_date_success task_instance_key_str ds ds_nodash "
    "yesterday_ds yesterday_ds_nodash tomorrow_ds tomorrow_ds_nodash ts ts_nodash ts_nodash_with_tz next_ds "
    "next_ds_nodash next_execution_date prev_ds prev_ds_nodash prev_execution_date".split()
)


TaskInstanceKey = collections.namedtuple("TaskInstanceKey", "dag_id task_id run_id try_number map_index")


class Context(dict):
    """The context as a mapping. A type of its own because authors annotate with it."""


_current = []


def get_current_context():
    """The context of the task that is running."""
    if not _current:
        raise AirflowException(
            "get_current_context() works only while a task runs, not while its DAG file is loaded"
        )
    return _current[-1]


def ask(question):
    """Asks the scheduler, in the words of `protocol/work.rs`."""
    return get_current_context()["ti"]._channel.ask({"type": "ask", "question": question})


def enter(context):
    _current.append(context)


def outlet_report():
    """What the task said of the assets that it changed."""
    return _current[-1]["outlet_events"].report() if _current else []


class DagRun(metaclass=ModelType):
    """The run, as far as a task may know it."""

    def __init__(self, start=None, **columns):
        if start is None:
            raise refusal("DagRun", "DagRun()")
        self.dag_id = start["dag_id"]
        self.run_id = start["run_id"]
        self.run_type = start.get("run_type") or "manual"
        self.conf = start.get("conf") or {}
        self.logical_date = dates.instant(start.get("logical_date"))
        self.execution_date = self.logical_date
        self.data_interval_start = dates.instant(start.get("data_interval_start"))
        self.data_interval_end = dates.instant(start.get("data_interval_end"))
        self.run_after = dates.instant(start.get("run_after")) or self.data_interval_end or self.logical_date
        self.start_date = dates.instant(start.get("run_start_date"))
        self.end_date = None
        self.external_trigger = self.run_type == "manual"
        self.state = "running"

    def get_state(self):
        return self.state

    @property
    def is_backfill(self):
        return self.run_type == "backfill"

    def _refuse(self, *args, **kwargs):
        raise refusal("DagRun", "asking a DagRun for other runs or for its task instances")

    get_task_instances = get_task_instance = get_previous_dagrun = get_previous_scheduled_dagrun = _refuse
    set_state = update_state = refresh_from_db = get_dag = _refuse

    def __repr__(self):
        return "<DagRun %s @ %s>" % (self.dag_id, self.run_id)


class TaskInstance(metaclass=ModelType):
    """The attempt. XComs go over the channel."""

    def __init__(self, start=None, task=None, dag_run=None, channel=None, **columns):
        if channel is None:
            raise refusal("TaskInstance", "TaskInstance()")
        self.task, self.dag_run, self._channel = task, dag_run, channel
        self.dag_id, self.task_id, self.run_id = start["dag_id"], start["task_id"], start["run_id"]
        self.map_index = start.get("map_index", -1)
        self._mapped, self._mapped_of_group = start.get("mapped"), None
        self.try_number = start.get("try_number", 1)
        self.max_tries = start.get("max_tries", 0)
        self.start_date = dates.instant(start.get("start_date"))
        self.end_date = None
        self.state = "running"
        self.hostname = start.get("hostname") or ""
        self.queue = start.get("queue") or "default"
        self._any_task = bool(start.get("xcom_of_any_task"))
        # Of a sensor that looked before, in another process.
        self.waiting_since = dates.instant(start.get("waiting_since"))
        self.reschedules = start.get("reschedules") or 0
        self.log_url = start.get("log_url") or ""
        self.mark_success_url = self.log_url
        self.duration = None

    @property
    def execution_date(self):
        return self.dag_run.logical_date

    logical_date = execution_date

    @property
    def key(self):
        return TaskInstanceKey(self.dag_id, self.task_id, self.run_id, self.try_number, self.map_index)

    @property
    def log(self):
        import logging

        return logging.getLogger("airflow.task")

    @property
    def pool(self):
        return getattr(self.task, "pool", None) or "default_pool"

    @property
    def priority_weight(self):
        return getattr(self.task, "priority_weight", 1)

    @property
    def is_mapped(self):
        return self.map_index >= 0

    @property
    def prev_attempted_tries(self):
        return self.try_number - 1

    def get_dagrun(self, session=None):
        return self.dag_run

    def get_template_context(self, session=None, ignore_param_exceptions=True):
        return get_current_context()

    def is_eligible_to_retry(self):
        return self.try_number <= self.max_tries

    def current_state(self, session=None):
        return self.state

    def get_num_running_task_instances(self, *args, **kwargs):
        raise refusal("TaskInstance", "counting other task instances")

    get_previous_ti = get_previous_dagrun = are_dependents_done = refresh_from_db = get_num_running_task_instances
    set_state = get_task_instance = clear_xcom_data = get_num_running_task_instances

    def get_previous_execution_date(self, state=None, session=None):
        return get_current_context().get("prev_data_interval_start_success" if state else "prev_execution_date")

    def get_previous_start_date(self, state=None, session=None):
        return get_current_context().get("prev_start_date_success")

    @property
    def operator(self):
        return type(self.task).__name__ if self.task is not None else None

    def xcom_push(self, key, value, execution_date=None, **kwargs):
        from ..run import check_json

        check_json(value, "the value of XCom `%s`" % key)
        self._channel.ask({"type": "set_xcom", "key": key, "value": value})

    def xcom_pull(self, task_ids=None, dag_id=None, key="return_value", include_prior_dates=False, *,
                  map_indexes=None, default=None, run_id=None, session=None):
        """One value for one task id, a list for a list. Without `task_ids`: the task's own, in Airflow 2 any task's."""
        if isinstance(task_ids, (list, tuple, set)):
            return [self._pull(t, dag_id, key, include_prior_dates, map_indexes, run_id, default) for t in task_ids]
        if not task_ids and not self._any_task:
            task_ids = self.task_id
        return self._pull(task_ids, dag_id, key, include_prior_dates, map_indexes, run_id, default)

    def _pull(self, task_id, dag_id, key, include_prior_dates, map_indexes, run_id, default):
        request = {"type": "get_xcom", "task_id": task_id, "key": key}
        if include_prior_dates or not task_id:
            request = {"type": "get_newest_xcom", "key": key, "prior_dates": bool(include_prior_dates)}
            if task_id:
                request["task_id"] = task_id
        if dag_id is not None and dag_id != self.dag_id:
            request["dag_id"] = dag_id
        if run_id is not None and run_id != self.run_id:
            request["run_id"] = run_id
        if request["type"] == "get_newest_xcom":
            map_indexes = None
        if map_indexes is not None and not isinstance(map_indexes, int):
            asked = [dict(request, map_index=int(index)) for index in map_indexes]
            values = [self._channel.ask(one) for one in asked]
            return [default if value is None else value for value in values]
        if map_indexes is not None:
            request["map_index"] = map_indexes
        value = self._channel.ask(request)
        return default if value is None else value

    def mapped_of_group(self, context):
        """What the mapped group around the task gets for this map index, by name."""
        from .xcom_arg import mapped_group

        if self._mapped_of_group is None:
            mapped = self._mapped or {}
            group = mapped_group(getattr(self.task, "task_group", None))
            if group is None or not mapped.get("pieces"):
                raise AirflowException("task `%s` runs without the values of its mapped group" % self.task_id)
            self._mapped_of_group = group.expansion.resolve(mapped["pieces"], context)
        return self._mapped_of_group

    def __repr__(self):
        return "<TaskInstance: %s.%s %s>" % (self.dag_id, self.task_id, self.run_id)


class Accessor:
    """`var.value.x` and `var.json.x`."""

    def __init__(self, get):
        self._get = get

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._get(name)

    def get(self, name, default=None):
        try:
            return self._get(name)
        except KeyError:
            return default


class Variables:
    def __init__(self):
        from .store_values import Variable

        self.value = Accessor(Variable.get)
        self.json = Accessor(lambda key: Variable.get(key, deserialize_json=True))


def build(start, task, dag, channel):
    """The context of an attempt, with the names of Airflow 1.10, 2 and 3."""
    from . import asset as assets, macros
    from .compat import conf
    from .store_values import Connection

    dag_run = DagRun(start)
    ti = TaskInstance(start, task, dag_run, channel)
    logical = dag_run.logical_date
    params = ParamsDict(dag.params.dump() if dag is not None else {})
    if task is not None:
        params.update(task.params.dump())
    params.update(start.get("params") or {})
    inlets = [assets.from_link(link) for link in start.get("inlets") or []]
    outlets = [assets.from_link(link) for link in start.get("outlets") or []]
    triggering = assets.TriggeringEvents(start.get("asset_events") or [])
    context = Context(
        dag=dag, dag_run=dag_run, task=task, ti=ti, task_instance=ti, run_id=dag_run.run_id, params=params, conf=conf,
        macros=macros, var=Variables(), conn=Accessor(Connection.get), map_index=ti.map_index,
        logical_date=logical, execution_date=logical,
        data_interval_start=dag_run.data_interval_start, data_interval_end=dag_run.data_interval_end,
        inlets=inlets, outlets=outlets, triggering_asset_events=triggering,
        triggering_dataset_events=assets.ByUri(triggering), inlet_events=assets.InletEvents(inlets, channel),
        outlet_events=assets.OutletEvents(outlets), task_reschedule_count=ti.reschedules,
        test_mode=bool(start.get("test_mode")), templates_dict=None,
        expanded_ti_count=(start.get("mapped") or {}).get("count"),
        prev_data_interval_start_success=dates.instant(start.get("prev_data_interval_start_success")),
        prev_data_interval_end_success=dates.instant(start.get("prev_data_interval_end_success")),
        prev_start_date_success=dates.instant(start.get("prev_start_date_success")),
        prev_end_date_success=dates.instant(start.get("prev_end_date_success")),
    )
    if logical is not None:
        context.update(date_names(logical))
        context["task_instance_key_str"] = "%s__%s__%s" % (ti.dag_id, ti.task_id, context["ds_nodash"])
        following = dates.instant(start.get("next_logical_date"))
        preceding = dates.instant(start.get("previous_logical_date"))
        context.update(neighbours(following, preceding))
    return context


def tell(context, said):
    """What a callback may know besides what a task may."""
    from .callbacks import exception_of

    ti, dag_run = context["ti"], context["dag_run"]
    text = said.get("exception")
    context["exception"] = exception_of(text) if text else None
    context["reason"] = said.get("reason")
    missed = said.get("deadline")
    if missed is not None:
        context["deadline"] = {"name": missed.get("name"), "deadline_time": dates.instant(missed["due_at"])}
    dag_run.state = said.get("run_state") or dag_run.state
    dag_run.end_date = dates.instant(said.get("run_ended_at"))
    if said["about"] == "task":
        ti.state = said["state"]
    ti.start_date, ti.end_date = dates.instant(said.get("started_at")), dates.instant(said.get("ended_at"))
    ti.hostname = said.get("hostname") or ti.hostname
    if ti.start_date is not None and ti.end_date is not None:
        ti.duration = (ti.end_date - ti.start_date).total_seconds()


def date_names(logical):
    """`ds`, `ts` and the like."""
    day = datetime.timedelta(days=1)
    names = {}
    for prefix, moment in (("", logical), ("yesterday_", logical - day), ("tomorrow_", logical + day)):
        names[prefix + "ds"] = moment.strftime("%Y-%m-%d")
        names[prefix + "ds_nodash"] = moment.strftime("%Y%m%d")
    names["ts"] = logical.isoformat()
    names["ts_nodash"] = logical.strftime("%Y%m%dT%H%M%S")
    names["ts_nodash_with_tz"] = logical.isoformat().replace("-", "").replace(":", "")
    return names


def neighbours(following, preceding):
    """The dates of the runs before and after, which Airflow 3 took away."""
    names = {}
    for prefix, moment in (("next_", following), ("prev_", preceding)):
        names[prefix + "execution_date"] = moment
        names[prefix + "ds"] = moment.strftime("%Y-%m-%d") if moment is not None else None
        names[prefix + "ds_nodash"] = moment.strftime("%Y%m%d") if moment is not None else None
    return names
