"""`BaseOperator`: one task. It records its arguments, its place in the file and its edges."""

import abc
import datetime
import functools
import re

from .. import notes
from . import callbacks, setup_teardown, stack
from .edge import Edgeable
from .exceptions import AirflowException, TaskDeferred
from .param import ParamsDict
from .signature import signature
from .words import TriggerRule, WeightRule

VALID_ID = re.compile(r"^[\w.\-]+$")

# Every argument that BaseOperator itself knows, with its default.
ARGUMENTS = {
    "owner": "airflow",
    "retries": None,
    "retry_delay": None,
    "retry_exponential_backoff": None,
    "max_retry_delay": None,
    "execution_timeout": None,
    "start_date": None,
    "end_date": None,
    "depends_on_past": False,
    "wait_for_downstream": False,
    "ignore_first_depends_on_past": False,
    "wait_for_past_depends_before_skipping": False,
    "trigger_rule": TriggerRule.ALL_SUCCESS,
    "pool": None,
    "pool_slots": 1,
    "priority_weight": 1,
    "weight_rule": WeightRule.DOWNSTREAM,
    "queue": None,
    "do_xcom_push": True,
    "multiple_outputs": False,
    "params": None,
    "doc": None,
    "doc_md": None,
    "doc_json": None,
    "doc_yaml": None,
    "doc_rst": None,
    "max_active_tis_per_dag": None,
    "max_active_tis_per_dagrun": None,
    "task_display_name": None,
    "map_index_template": None,
    "inlets": None,
    "outlets": None,
    "email": None,
    "email_on_failure": None,
    "email_on_retry": None,
    "on_execute_callback": None,
    "on_success_callback": None,
    "on_failure_callback": None,
    "on_retry_callback": None,
    "on_skipped_callback": None,
}

# Accepted, and without effect in Updraft; nobody needs to hear about it.
SILENT = {
    "provide_context", "resources", "run_as_user", "task_group",
    "executor", "executor_config", "ui_color", "ui_fgcolor", "auto_register", "logger_name",
    "allow_nested_operators", "default_args", "dag", "subdag", "sla", "start_trigger_args",
    "start_from_trigger", "run_as_owner", "has_retry_policy",
}

# Functions to call just before and just after the work; they are arguments of the same name as methods.
AROUND = ("pre_execute", "post_execute")
LATER = set(AROUND)

OLD_NAMES = {"task_concurrency": "max_active_tis_per_dag", "xcom_push": "do_xcom_push", "sla_miss": "sla"}


# Where the tasks that are being made are asked for, innermost last.
_places = []


class OperatorMeta(abc.ABCMeta):
    """Fills arguments from `default_args` before a task is made, whatever class it is of."""

    def __call__(cls, *args, **kwargs):
        dag = kwargs.get("dag") or stack.current_dag()
        group = kwargs.get("task_group") or (stack.current_group(dag) if dag else None)
        defaults = {}
        if dag is not None:
            defaults.update(dag.default_args)
        if group is not None:
            defaults.update(group.all_default_args())
        defaults.update(kwargs.get("default_args") or {})
        if defaults:
            by_position = cls._positional_arguments()[: len(args)]
            for name in cls._accepted_arguments():
                if name in defaults and name not in kwargs and name not in by_position:
                    kwargs[name] = defaults[name]
        # The line that asks for the task, not the one where its class calls `super().__init__`.
        _places.append(notes.place_in_dag_file())
        try:
            task = super().__call__(*args, **kwargs)
        finally:
            _places.pop()
        task._wire_arguments()
        setup_teardown.note(task)
        return task

    @functools.lru_cache(maxsize=None)
    def _accepted_arguments(cls):
        names = set(ARGUMENTS) | SILENT | LATER | set(OLD_NAMES) | cls._own_arguments()
        for base in cls.__mro__:
            if "__init__" not in vars(base) or base in (BaseOperator, object):
                continue
            for name, parameter in signature(base.__init__).parameters.items():
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and name != "self":
                    names.add(name)
        return names - {"task_id", "dag", "task_group", "default_args"}

    @functools.lru_cache(maxsize=None)
    def _positional_arguments(cls):
        parameters = signature(cls.__init__).parameters.values()
        return [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD][1:]


class BaseOperator(Edgeable, metaclass=OperatorMeta):
    """A task. Subclasses give it work by `execute(self, context)`."""

    template_fields = ()
    template_ext = ()
    template_fields_renderers = {}
    ui_color = "#fff"
    ui_fgcolor = "#000"
    operator_extra_links = ()
    # Why it cannot run in this version, in words for its author; None when it can.
    comes_later = None
    is_setup = False
    is_teardown = False
    _pre_execute_function = _post_execute_function = None
    on_failure_fail_dagrun = False

    def __init__(self, task_id=None, dag=None, task_group=None, **kwargs):
        if not isinstance(task_id, str):
            raise TypeError(
                "expected %s to have a task_id of type str, got: %r" % (type(self).__name__, task_id)
            )
        self.file, self.line = _places[-1]
        self.dag = None
        self._upstream, self._downstream = {}, {}
        self.label = task_id
        dag = dag or (task_group.dag if task_group is not None else None) or stack.current_dag()
        self.task_group = task_group or (stack.current_group(dag) if dag else None)
        self.task_id = self.task_group.child_id(task_id) if self.task_group is not None else task_id
        check_id("task_id", self.task_id)
        self._take(kwargs)
        if dag is not None:
            dag.add_task(self)

    def _take(self, kwargs):
        for old, new in OLD_NAMES.items():
            if old in kwargs:
                value = kwargs.pop(old)
                kwargs.setdefault(new, value)
                notes.warn("`%s` is the old name of `%s` and works as before" % (old, new), once=("old", old))
        # What was said, as opposed to what is so by default: the defaults that count are Updraft's configuration.
        self._given = {name for name in ARGUMENTS if kwargs.get(name) is not None}
        for name, default in ARGUMENTS.items():
            setattr(self, name, kwargs.pop(name, default))
        for name in list(kwargs):
            if name in SILENT:
                value = kwargs.pop(name)
                if name == "sla" and value is not None:
                    notes.warn("`sla` has no effect, as in Airflow 3",
                               "give the DAG a `deadline`: it is counted for each run", once=("later", "sla"))
                if not hasattr(type(self), name):
                    setattr(self, name, value)
            elif name in AROUND:
                value = kwargs.pop(name)
                if value is not None and not callable(value):
                    raise TypeError("expected %s to be a function, got: %r" % (name, value))
                setattr(self, "_%s_function" % name, value)
        for name in kwargs:
            known = type(self)._accepted_arguments() | {"task_id", "dag", "task_group"}
            notes.warn(
                "%s `%s` has no argument `%s`; it has no effect" % (type(self).__name__, self.task_id, name),
                notes.did_you_mean(name, known),
            )
        self.params = ParamsDict(self.params)
        self.inlets, self.outlets = as_list(self.inlets), as_list(self.outlets)
        for name in callbacks.OF_TASK:
            setattr(self, name, callbacks.as_list(name, getattr(self, name)))
        check_count("retries", self.retries)
        check_count("pool_slots", self.pool_slots, at_least=1)
        check_type("priority_weight", self.priority_weight, int)
        self.retry_delay = duration("retry_delay", self.retry_delay)
        self.max_retry_delay = duration("max_retry_delay", self.max_retry_delay)
        self.execution_timeout = duration("execution_timeout", self.execution_timeout)
        self.trigger_rule = word("trigger_rule", self.trigger_rule, TriggerRule)
        if isinstance(self.weight_rule, str):
            self.weight_rule = word("weight_rule", self.weight_rule, WeightRule)
        if self.wait_for_downstream:
            self.depends_on_past = True

    @classmethod
    def _own_arguments(cls):
        """Arguments that no signature shows."""
        return set()

    @property
    def upstream(self):
        return self.upstream_list

    @property
    def downstream(self):
        return self.downstream_list

    def has_dag(self):
        return self.dag is not None

    def get_dag(self):
        return self.dag

    def get_direct_relatives(self, upstream=False):
        return self.upstream_list if upstream else self.downstream_list

    def get_direct_relative_ids(self, upstream=False):
        return {task.task_id for task in self.get_direct_relatives(upstream)}

    def get_flat_relatives(self, upstream=False):
        """Everything before it, or everything after it."""
        found, rest = {}, self.get_direct_relatives(upstream)
        while rest:
            task = rest.pop()
            if task not in found:
                found[task] = None
                rest.extend(task.get_direct_relatives(upstream))
        return list(found)

    def get_flat_relative_ids(self, upstream=False):
        return {task.task_id for task in self.get_flat_relatives(upstream)}

    def add_inlets(self, inlets):
        self.inlets.extend(inlets)

    def add_outlets(self, outlets):
        self.outlets.extend(outlets)

    # -- edges

    def roots_for_edges(self):
        return [self]

    leaves_for_edges = roots_for_edges

    def _add_upstream(self, upstream):
        if upstream.dag is None and self.dag is not None:
            self.dag.add_task(upstream)
        elif self.dag is None and upstream.dag is not None:
            upstream.dag.add_task(self)
        elif upstream.dag is not self.dag:
            raise AirflowException(
                "tasks of two DAGs cannot depend on each other: `%s` of `%s` and `%s` of `%s`"
                % (upstream.task_id, upstream.dag.dag_id, self.task_id, self.dag.dag_id)
            )
        self._upstream[upstream] = None
        upstream._downstream[self] = None

    @property
    def upstream_list(self):
        return list(self._upstream)

    @property
    def downstream_list(self):
        return list(self._downstream)

    @property
    def upstream_task_ids(self):
        return {t.task_id for t in self._upstream}

    @property
    def downstream_task_ids(self):
        return {t.task_id for t in self._downstream}

    @property
    def dag_id(self):
        return self.dag.dag_id if self.dag is not None else "adhoc_" + self.owner

    @property
    def task_type(self):
        return type(self).__name__

    operator_name = task_type

    @property
    def operator_class(self):
        return type(self)

    @property
    def output(self):
        """What the task will return, as an argument for another task."""
        from .xcom_arg import XComArg

        return XComArg(self)

    @property
    def log(self):
        import logging

        return logging.getLogger("airflow.task.operators." + type(self).__name__)

    def _wire_arguments(self):
        """An argument that is another task's output makes that task an upstream."""
        from .xcom_arg import tasks_in

        for field in self._argument_fields():
            for task in tasks_in(getattr(self, field, None)):
                if task is not self:
                    self._add_upstream(task)

    def _argument_fields(self):
        fields = self.template_fields
        return [fields] if isinstance(fields, str) else list(fields)

    # -- roles

    def as_setup(self):
        return setup_teardown.make_setup(self)

    def as_teardown(self, *, setups=None, on_failure_fail_dagrun=None):
        return setup_teardown.make_teardown(self, setups, on_failure_fail_dagrun)

    # -- running

    def rendered_arguments(self):
        """`(args, kwargs)`: the values that are templates, for the Rust side to render."""
        return [], {f: getattr(self, f) for f in self._argument_fields() if hasattr(self, f)}

    def take_rendered(self, args, kwargs):
        """Gets the same back, rendered; called once before `execute`."""
        for field, value in kwargs.items():
            if hasattr(self, field):
                setattr(self, field, value)

    def pre_execute(self, context):
        if self._pre_execute_function is not None:
            self._pre_execute_function(context)

    def execute(self, context):
        raise NotImplementedError("%s has no `execute` method" % type(self).__name__)

    def post_execute(self, context, result=None):
        if self._post_execute_function is not None:
            self._post_execute_function(context, result)

    def on_kill(self):
        pass

    def defer(self, *, trigger, method_name, kwargs=None, timeout=None):
        """Leaves `execute`; when the trigger has found what it waits for, the method goes on."""
        raise TaskDeferred(trigger=trigger, method_name=method_name, kwargs=kwargs, timeout=timeout)

    def render_template(self, content, context, jinja_env=None, seen_oids=None):
        """A template of the author's own, by the package jinja2."""
        from .templates import jinja_environment, render

        return render(jinja_env or jinja_environment(self.dag), content, context)

    def render_template_fields(self, context, jinja_env=None):
        """The fields are rendered before the task runs."""

    def get_template_env(self, dag=None):
        from .templates import jinja_environment

        return jinja_environment(dag or self.dag)

    def dry_run(self):
        for field in self._argument_fields():
            self.log.info("%s: %s", field, getattr(self, field, None))

    def xcom_pull(self, context, task_ids=None, dag_id=None, key="return_value", **kwargs):
        return context["ti"].xcom_pull(task_ids=task_ids, dag_id=dag_id, key=key, **kwargs)

    def xcom_push(self, context, key, value, execution_date=None):
        context["ti"].xcom_push(key=key, value=value)

    # -- mapping, setup and teardown

    @classmethod
    def partial(cls, **kwargs):
        from .mapped import Partial

        return Partial(cls, kwargs)

    def __enter__(self):
        return setup_teardown.enter([self])

    def __exit__(self, *exc):
        setup_teardown.leave()

    def __repr__(self):
        return "<Task(%s): %s>" % (type(self).__name__, self.task_id)

    def __deepcopy__(self, memo):
        # Tasks are identities, not values: a copied argument dict still means the same task.
        return self

    def __copy__(self):
        return self


def check_id(what, text):
    if not VALID_ID.match(text) or len(text) > 250:
        raise AirflowException(
            "expected %s to be 1 to 250 letters, digits, dashes, dots or underscores, got: %r" % (what, text[:80])
        )


def as_list(value):
    return [] if value is None else list(value) if isinstance(value, (list, tuple, set)) else [value]


def check_type(what, value, kind):
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise TypeError("expected %s to be of type %s, got: %r" % (what, kind.__name__, value))


def check_count(what, value, at_least=0):
    check_type(what, value, int)
    if value is not None and value < at_least:
        raise ValueError("expected %s to be at least %d, got: %r" % (what, at_least, value))


def duration(what, value):
    """A timedelta from a timedelta or from seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = datetime.timedelta(seconds=value)
    if value is None or isinstance(value, datetime.timedelta) and value >= datetime.timedelta(0):
        return value
    if isinstance(value, datetime.timedelta):
        raise ValueError("expected %s to be zero or more, got: %s" % (what, value))
    raise TypeError("expected %s to be a timedelta or a number of seconds, got: %r" % (what, value))


def word(what, value, words):
    """A member of a closed set, from a member or its text."""
    try:
        return words(value)
    except ValueError:
        known = [w.value for w in words]
        meant = notes.did_you_mean(value, known)
        raise AirflowException(
            "expected %s to be one of %s, got: %r%s"
            % (what, ", ".join(known), value, "; " + meant if meant else "")
        ) from None

