"""`DAG` and `@dag`: what a file says about one DAG."""

import datetime
import functools
import inspect
import os

from .. import notes
from . import callbacks, stack
from .exceptions import AirflowException, DuplicateTaskIdFound, TaskNotFound
from .operator import ARGUMENTS, LATER, OLD_NAMES, SILENT, check_count, check_id, duration
from .param import DagParam, ParamsDict
from .signature import signature

NOT_GIVEN = object()

# Arguments with an effect, and the value they have when they are not given.
KNOWN = {
    "start_date": None,
    "end_date": None,
    "catchup": None,
    "max_active_runs": None,
    "max_active_tasks": None,
    "dagrun_timeout": None,
    "fail_fast": None,
    "max_consecutive_failed_dag_runs": None,
    "is_paused_upon_creation": None,
    "template_searchpath": None,
    "doc_md": None,
    "tags": None,
    "params": None,
    "dag_display_name": None,
    "render_template_as_native_obj": None,
    "on_success_callback": None,
    "on_failure_callback": None,
    "deadline": None,
    "user_defined_macros": None,
    "user_defined_filters": None,
    "jinja_environment_kwargs": None,
    "template_undefined": None,
}
SILENT_KNOWN = {
    "default_view", "orientation", "access_control", "owner_links", "full_filepath", "auto_register",
    "sla_miss_callback",
    "rerun_with_latest_version", "disable_bundle_versioning", "allowed_run_types", "has_on_success_callback",
    "has_on_failure_callback", "dag_id", "subdag",
}
LATER_KNOWN = {
    "sla_miss_callback": "is never called, as in Airflow 3: give the DAG a `deadline`",
}
OLD = {"concurrency": "max_active_tasks", "schedule_interval": "schedule", "timetable": "schedule",
       "fail_stop": "fail_fast"}

# Every DAG made while a file loads, in order; and those that a `with` block or `@dag` used.
made = []
used = []
# The functions that `@dag` decorated, with their places; one that is never called makes no DAG.
decorated = []
called = set()


class DAG:
    """A graph of tasks with a schedule. Used by `with`, by `dag=`, or by `@dag`."""

    def __init__(self, dag_id, description=None, schedule=NOT_GIVEN, start_date=None, end_date=None, *,
                 default_args=None, **kwargs):
        if not isinstance(dag_id, str):
            raise TypeError("expected dag_id to be of type str, got: %r" % (dag_id,))
        check_id("dag_id", dag_id)
        self.dag_id = dag_id
        self.file, self.line = notes.place_in_dag_file()
        self.description = description
        self.default_args = dict(default_args or {})
        # Airflow lets `params` stand in default_args, too.
        params = dict(self.default_args.pop("params", None) or {})
        self.old_concurrency = "concurrency" in kwargs and "max_active_tasks" not in kwargs
        if start_date is not None:
            kwargs["start_date"] = start_date
        if end_date is not None:
            kwargs["end_date"] = end_date
        if schedule is not NOT_GIVEN:
            kwargs["schedule"] = schedule
        for old, new in OLD.items():
            if old in kwargs:
                value = kwargs.pop(old)
                kwargs.setdefault(new, value)
                if old != "timetable":
                    notes.warn("`%s` is the old name of `%s` and works as before" % (old, new), once=("old", old))
        self.schedule = kwargs.pop("schedule", NOT_GIVEN)
        for name, default in KNOWN.items():
            setattr(self, name, kwargs.pop(name, default))
        for name, value in kwargs.items():
            if name in LATER_KNOWN:
                if value:
                    notes.warn("`%s` %s" % (name, LATER_KNOWN[name]), once=("later", name))
            elif name not in SILENT_KNOWN:
                known = set(KNOWN) | SILENT_KNOWN | set(OLD) | set(LATER_KNOWN)
                known |= {"schedule", "default_args", "description"}
                notes.warn("DAG `%s` has no argument `%s`; it has no effect" % (dag_id, name),
                           notes.did_you_mean(name, known))
        given = self.params.written() if isinstance(self.params, ParamsDict) else self.params or {}
        params.update(given)
        self.params = ParamsDict(params)
        for name in callbacks.OF_DAG:
            setattr(self, name, callbacks.as_list(name, getattr(self, name)))
        self.deadline = callbacks.deadlines(self.deadline)
        self.tags = list([self.tags] if isinstance(self.tags, str) else self.tags or [])
        self.dagrun_timeout = duration("dagrun_timeout", self.dagrun_timeout)
        check_count("max_active_runs", self.max_active_runs)
        check_count("max_active_tasks", self.max_active_tasks)
        check_count("max_consecutive_failed_dag_runs", self.max_consecutive_failed_dag_runs)
        for name in ("start_date", "end_date"):
            value = getattr(self, name) or self.default_args.get(name)
            if value is not None and not isinstance(value, (datetime.datetime, datetime.date, str)):
                raise TypeError("expected %s to be a datetime, got: %r" % (name, value))
            setattr(self, name, value)
        self._check_default_args()
        self.task_dict = {}
        self.task_groups = {}
        # A SubDagOperator of this DAG took another one in, or was taken in.
        self.parent_dag, self.moved_into, self.partial = None, None, False
        made.append(self)

    def _check_default_args(self):
        known = set(ARGUMENTS) | SILENT | LATER | set(OLD_NAMES) | set(KNOWN)
        for name in self.default_args:
            if name not in known:
                # Any operator may have an argument of this name; only a likely slip is worth a word.
                meant = notes.nearest(name, known, cutoff=0.85)
                if meant:
                    notes.warn("default_args of DAG `%s` has `%s`, which no known operator takes" % (self.dag_id, name),
                               "did you mean `%s`?" % meant)

    # -- tasks

    def add_task(self, task):
        if task.dag is self:
            return
        first = self.task_dict.get(task.task_id)
        if first is not None:
            raise DuplicateTaskIdFound(
                "task id `%s` is used twice in DAG `%s`: first in line %s, again in line %s"
                % (task.task_id, self.dag_id, first.line, task.line)
            )
        task.dag = self
        self.task_dict[task.task_id] = task

    def add_tasks(self, tasks):
        for task in tasks:
            self.add_task(task)

    @property
    def tasks(self):
        return list(self.task_dict.values())

    @property
    def task_ids(self):
        return list(self.task_dict)

    @property
    def task_count(self):
        return len(self.task_dict)

    @property
    def roots(self):
        return [t for t in self.tasks if not t._upstream]

    @property
    def leaves(self):
        return [t for t in self.tasks if not t._downstream]

    def has_task(self, task_id):
        return task_id in self.task_dict

    def get_task(self, task_id, include_subdags=False):
        try:
            return self.task_dict[task_id]
        except KeyError:
            meant = notes.did_you_mean(task_id, self.task_dict)
            raise TaskNotFound(
                "DAG `%s` has no task `%s`%s" % (self.dag_id, task_id, "; " + meant if meant else "")
            ) from None

    def set_dependency(self, upstream_task_id, downstream_task_id):
        self.get_task(upstream_task_id).set_downstream(self.get_task(downstream_task_id))

    def param(self, name, default=None):
        return DagParam(self, name, default)

    # -- what authors ask a DAG

    @property
    def owner(self):
        return ", ".join(sorted({t.owner for t in self.tasks}))

    @property
    def fileloc(self):
        return self.file

    filepath = fileloc

    @property
    def folder(self):
        return os.path.dirname(self.file or "")

    @property
    def schedule_interval(self):
        return None if self.schedule is NOT_GIVEN else self.schedule

    @property
    def concurrency(self):
        return self.max_active_tasks

    @property
    def timezone(self):
        from .dates import zone_of

        return zone_of(self.start_date)

    @property
    def is_subdag(self):
        return self.parent_dag is not None

    @property
    def subdags(self):
        return []

    @property
    def normalized_schedule_interval(self):
        from .dates import cron_presets

        return cron_presets.get(self.schedule_interval, self.schedule_interval)

    @property
    def task_group_dict(self):
        return dict(self.task_groups)

    def topological_sort(self):
        """Every task after those that it waits for; of several that could come next, the first of the file."""
        rest, done = list(self.tasks), {}
        while rest:
            following = next((t for t in rest if all(u in done for u in t.upstream_list)), None)
            if following is None:
                raise AirflowException("DAG `%s` has a cycle" % self.dag_id)
            rest.remove(following)
            done[following] = None
        return tuple(done)

    def tree_view(self):
        """Prints the tasks, each below the one it waits for."""
        def show(task, level):
            print("%s%r" % ("    " * level, task))
            for down in sorted(task.downstream_list, key=lambda t: t.task_id):
                show(down, level + 1)

        for root in sorted(self.roots, key=lambda t: t.task_id):
            show(root, 0)

    def resolve_template_files(self):
        pass

    def cli(self):
        """`python file.py tasks list`: the same command of `updraft`, with this DAG's id."""
        from . import command

        command.cli(self)

    def test(self, execution_date=None, run_conf=None, conn_file_path=None, variable_file_path=None, session=None,
             use_executor=False, mark_success_pattern=None, *, logical_date=None, **kwargs):
        """One run of this DAG here and now, by `updraft dags test`."""
        from . import command

        return command.test(self, logical_date or execution_date, run_conf)

    def run(self, *args, **kwargs):
        raise AirflowException("DAG.run() is not possible: use `updraft backfill create --dag-id %s`" % self.dag_id)

    def clear(self, *args, **kwargs):
        raise AirflowException("DAG.clear() is not possible: use `updraft tasks clear %s`" % self.dag_id)

    def create_dagrun(self, *args, **kwargs):
        raise AirflowException("DAG.create_dagrun() is not possible: use `updraft dags trigger %s`, "
                               "or TriggerDagRunOperator in a task" % self.dag_id)

    def get_dagrun(self, *args, **kwargs):
        raise AirflowException("a DAG knows none of its runs: context[\"dag_run\"] is the task's own, and "
                               "`updraft dags list-runs %s` shows the others" % self.dag_id)

    get_last_dagrun = get_active_runs = get_num_active_runs = get_run_dates = get_latest_execution_date = get_dagrun

    def __enter__(self):
        if self not in used:
            used.append(self)
        stack.push_dag(self)
        return self

    def __exit__(self, *exc):
        stack.pop_dag()

    def __repr__(self):
        return "<DAG: %s>" % self.dag_id

    def __deepcopy__(self, memo):
        return self


def dag(dag_id="", *args, **kwargs):
    """`@dag(...)`: a function whose call makes a DAG; its parameters are the run's parameters."""

    def decorate(function):
        @functools.wraps(function)
        def factory(*call_args, **call_kwargs):
            bound = signature(function).bind_partial(*call_args, **call_kwargs)
            bound.apply_defaults()
            name = dag_id if isinstance(dag_id, str) and dag_id else function.__name__
            made_dag = DAG(name, *args, **kwargs)
            if function.__code__.co_filename == made_dag.file:
                made_dag.line = function.__code__.co_firstlineno
            if function.__doc__ and made_dag.doc_md is None:
                made_dag.doc_md = inspect.cleandoc(function.__doc__)
            called.add(function)
            with made_dag:
                arguments = {}
                for parameter, value in bound.arguments.items():
                    made_dag.params.setdefault(parameter, value)
                    arguments[parameter] = made_dag.param(parameter, value)
                function(**arguments)
            return made_dag

        decorated.append((function, (function.__code__.co_filename, function.__code__.co_firstlineno)))
        return factory

    if callable(dag_id):
        function, dag_id = dag_id, ""
        return decorate(function)
    return decorate


