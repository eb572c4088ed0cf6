"""Branches, short circuits and the like: tasks that decide which tasks after them run.

Each leaves its decision as an XCom under Airflow's own key; the scheduler
reads it there, and skips what is left out as soon as the task has succeeded.
"""

import datetime

from .. import notes
from .dates import utcnow
from .exceptions import AirflowException, ComesLater
from .operator import BaseOperator
from .operators import PythonOperator
from .words import WeekDay

SKIP_KEY = "skipmixin_key"


class SkipMixin:
    """What an operator of the author's own may inherit to skip tasks."""

    def skip(self, *args, **kwargs):
        """`skip(ti, tasks)` of Airflow 3, or `skip(dag_run, execution_date, tasks)` of 1.10 and 2."""
        tasks = kwargs.get("tasks")
        if tasks is None:
            tasks = next((a for a in args if isinstance(a, (list, tuple, set)) or hasattr(a, "__next__")), ())
        ids = [t if isinstance(t, str) else t.task_id for t in tasks]
        if ids:
            self.log.info("Skipping tasks %s", ids)
            push(kwargs.get("ti") or first_ti(args), {"skipped": ids})

    def skip_all_except(self, ti=None, branch_task_ids=None):
        """Follows these tasks or groups, and what comes after them; skips the others directly after this task."""
        push(ti, {"branch": checked_ids(branch_task_ids, self.dag)})


class BranchMixIn(SkipMixin):
    def do_branch(self, context, branches_to_execute):
        self.log.info("Branch into %s", branches_to_execute)
        self.skip_all_except(context["ti"], branches_to_execute)
        return branches_to_execute


class BaseBranchOperator(BaseOperator, BranchMixIn):
    """Subclasses say in `choose_branch` which task or tasks to follow."""

    def choose_branch(self, context):
        raise NotImplementedError("%s has no `choose_branch` method" % type(self).__name__)

    def execute(self, context):
        return self.do_branch(context, self.choose_branch(context))


class BranchPythonOperator(PythonOperator, BranchMixIn):
    """The function returns the task id, or the list of ids, to follow; `None` follows nothing."""

    def execute(self, context):
        return self.do_branch(context, super().execute(context))


class ShortCircuitOperator(PythonOperator, SkipMixin):
    """Skips what is downstream where the function returns something false."""

    def __init__(self, ignore_downstream_trigger_rules=True, **kwargs):
        super().__init__(**kwargs)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def execute(self, context):
        condition = super().execute(context)
        self.log.info("Condition result is %s", condition)
        if condition:
            self.log.info("Proceeding with downstream tasks...")
        elif not self._downstream:
            self.log.info("No downstream tasks; nothing to do.")
        else:
            self.log.info("Skipping downstream tasks...")
            push(context["ti"], {"short_circuit": "all" if self.ignore_downstream_trigger_rules else "direct"})
        return condition


class LatestOnlyOperator(BaseBranchOperator):
    """Lets what is downstream run only in the newest run. The scheduler passes it without starting a process."""

    ui_color = "#e9ffdb"

    def choose_branch(self, context):
        raise ComesLater("a class of its own below LatestOnlyOperator cannot run yet; use LatestOnlyOperator itself")


class _TwoWays(BaseBranchOperator):
    """Follows one of two, by a question."""

    def __init__(self, *, follow_task_ids_if_true, follow_task_ids_if_false, use_task_logical_date=False,
                 use_task_execution_date=False, use_task_execution_day=False, **kwargs):
        super().__init__(**kwargs)
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.use_task_logical_date = use_task_logical_date or use_task_execution_date or use_task_execution_day

    def choose_branch(self, context):
        if self.use_task_logical_date:
            now = context.get("logical_date")
            if now is None:
                raise AirflowException("the run has no logical date; leave out `use_task_logical_date`")
        else:
            now = utcnow()
        return self.follow_task_ids_if_true if self.holds(now) else self.follow_task_ids_if_false


class BranchDayOfWeekOperator(_TwoWays):
    """Follows one way on some days of the week and the other way on the rest."""

    def __init__(self, *, week_day, **kwargs):
        super().__init__(**kwargs)
        self.week_day = week_day
        days = [week_day] if isinstance(week_day, (str, WeekDay)) else list(week_day)
        self._days = {weekday(day) for day in days}

    def holds(self, now):
        return now.astimezone(self.dag.timezone or datetime.timezone.utc).isoweekday() in self._days


class BranchDateTimeOperator(_TwoWays):
    """Follows one way between two moments, or between two times of the day, and the other way outside."""

    def __init__(self, *, target_lower, target_upper, **kwargs):
        super().__init__(**kwargs)
        if target_lower is None and target_upper is None:
            raise AirflowException("expected BranchDateTimeOperator `%s` to have target_lower or target_upper, got neither"
                                   % self.task_id)
        self.target_lower, self.target_upper = target_lower, target_upper

    def holds(self, now):
        lower, upper = self._bounds(now)
        return (lower is None or now >= lower) and (upper is None or now <= upper)

    def _bounds(self, now):
        zone = self.dag.timezone or datetime.timezone.utc
        day = now.astimezone(zone).date()

        def moment(value):
            if isinstance(value, datetime.time):
                value = datetime.datetime.combine(day, value)
            if value is not None and value.tzinfo is None:
                value = value.replace(tzinfo=zone)
            return value

        lower, upper = moment(self.target_lower), moment(self.target_upper)
        is_time = isinstance(self.target_lower, datetime.time) or isinstance(self.target_upper, datetime.time)
        if lower is not None and upper is not None and is_time and upper < lower:
            upper += datetime.timedelta(days=1)
        return lower, upper


def weekday(day):
    """1 for Monday to 7 for Sunday, from a WeekDay, a number or a name."""
    if isinstance(day, int):
        return WeekDay(day).value
    try:
        return WeekDay[str(day).upper()].value
    except KeyError:
        names = [d.name for d in WeekDay]
        meant = notes.did_you_mean(str(day).upper(), names)
        raise AirflowException("expected week_day to be one of %s, got: %r%s"
                               % (", ".join(names), day, "; " + meant if meant else "")) from None


def checked_ids(wanted, dag):
    """The ids that a branch names: text, a list of texts, or None. A group stands for its first tasks."""
    if wanted is None:
        return []
    ids = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(ids, (list, tuple, set)) or not all(isinstance(i, str) for i in ids):
        raise AirflowException("expected a branch to return a task id or a list of task ids, got: %r" % (wanted,))
    found = []
    for one in ids:
        if dag is not None and one in dag.task_groups:
            found.extend(t.task_id for t in dag.task_groups[one].roots_for_edges())
        elif dag is not None and not dag.has_task(one):
            meant = notes.did_you_mean(one, [*dag.task_dict, *dag.task_groups])
            raise AirflowException("'branch_task_ids' must contain only valid task_ids. Invalid tasks found: {%r}%s"
                                   % (one, "; " + meant if meant else ""))
        else:
            found.append(one)
    return found


def first_ti(args):
    return next((a for a in args if hasattr(a, "xcom_push")), None)


def push(ti, decision):
    if ti is None:
        from .context import get_current_context

        ti = get_current_context()["ti"]
    ti.xcom_push(key=SKIP_KEY, value=decision)
