"""`SubDagOperator`: a DAG inside a task. Updraft makes a task group of it, as Airflow has advised since 2.0.

The tasks of the inner DAG become tasks of the outer one, called
`<task_id>.<their id>`; the inner DAG itself is no DAG any more.
"""

from .. import notes
from . import dag as dags, stack
from .exceptions import AirflowException
from .task_group import TaskGroup


class SubDagOperator(TaskGroup):
    def __init__(self, subdag=None, task_id=None, dag=None, executor=None, session=None, conf=None,
                 propagate_skipped_state=None, **kwargs):
        dag = dag or stack.current_dag()
        if not isinstance(subdag, dags.DAG):
            raise TypeError("expected the subdag of SubDagOperator `%s` to be a DAG, got: %r" % (task_id, subdag))
        if dag is None:
            raise AirflowException("SubDagOperator `%s` is outside a DAG; put it in `with DAG(...)` or pass dag=" % task_id)
        if subdag.dag_id != "%s.%s" % (dag.dag_id, task_id):
            raise AirflowException("expected the subdag of SubDagOperator `%s` to be called `%s.%s`, got: `%s`"
                                   % (task_id, dag.dag_id, task_id, subdag.dag_id))
        super().__init__(task_id, dag=dag, default_args=kwargs.pop("default_args", None))
        self.task_id, self.subdag = self.group_id, subdag
        notes.warn("SubDagOperator `%s` is read as a task group: its tasks run in the run of DAG `%s`" % (task_id, dag.dag_id),
                   "use TaskGroup, which Airflow 2 and 3 have, too", once=("subdag", dag.dag_id))
        self._move_in(subdag)
        for forget in (dags.made, dags.used):
            if subdag in forget:
                forget.remove(subdag)
        subdag.parent_dag, subdag.moved_into = dag, self
        for name in ("pool", "trigger_rule"):
            if kwargs.get(name) is not None:
                self._pass_on(name, kwargs[name])

    def _move_in(self, subdag):
        for group in list(subdag.task_groups.values()):
            group.dag = self.dag
            if group.parent_group is None:
                group.parent_group = self
        renamed = sorted(subdag.task_groups.values(), key=lambda g: g.group_id.count("."))
        for group in renamed:
            group.group_id = "%s.%s" % (self.group_id, group.group_id)
            self.dag.task_groups[group.group_id] = group
        for task in subdag.tasks:
            task.task_id = "%s.%s" % (self.group_id, task.task_id)
            if task.task_group is None:
                task.task_group = self
            task.dag = None
            self.dag.add_task(task)
        subdag.task_dict, subdag.task_groups = {}, {}

    def _pass_on(self, name, value):
        """What the operator said of itself holds for its first tasks (when it runs) or for all (where it runs)."""
        from .operator import word
        from .words import TriggerRule

        if name == "trigger_rule":
            for task in self.roots_for_edges():
                task.trigger_rule = word(name, value, TriggerRule)
        else:
            for task in self.tasks:
                setattr(task, name, getattr(task, name) or value)
