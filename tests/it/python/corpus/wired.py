# expect wired: a=success b=success c=success e=success f=success g=success tg.h=success i=success j=success k=success m1=success m2=success pg=success dyn=success ext=success p=success q=success named=success z=success again=success grp.inner=success grp.inner__1=success after_grp=success -> not triggered
# expect wired_by_decorator: x=success -> success
"""Edges, groups, mapping and classes of authors, in the ways that people mix them."""
import airflow
import airflow.utils.dates as d
from datetime import datetime, timedelta
from airflow.models import DAG as AirflowDAG, Variable, BaseOperator, SkipMixin
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator, ShortCircuitOperator, BranchPythonOperator
from airflow.models.baseoperator import chain, cross_downstream
from airflow.utils.edgemodifier import Label
from airflow.utils.task_group import TaskGroup
from airflow.utils.state import State, TaskInstanceState
from airflow.utils.trigger_rule import TriggerRule
from airflow.providers.postgres.operators.postgres import PostgresOperator
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sensors.external_task import ExternalTaskSensor
from airflow.configuration import conf
from airflow.models.xcom_arg import XComArg
from airflow.decorators import task, dag, task_group
from airflow.utils import timezone

class MyPg(PostgresOperator):
    template_fields = tuple(PostgresOperator.template_fields) + ("extra",)
    template_ext = (".sql",)
    ui_color = "#fff"
    def __init__(self, extra=None, task_id=None, *args, **kwargs):
        super().__init__(task_id=task_id, *args, **kwargs)
        self.extra = extra
    def execute(self, context):
        self.xcom_push(context, "k", 1)
        return super().execute(context)

class Hook(PostgresHook):
    conn_name_attr = "my_conn_id"
    def go(self):
        return self.get_conn()

Dyn = type("Dyn", (BaseOperator, SkipMixin), {"execute": lambda self, context: 1})
args = {"owner": "x", "start_date": d.days_ago(1), "retries": 1, "retry_delay": 30, "email": "a@b", "on_failure_callback": None, "provide_context": True, "sla": timedelta(hours=1)}
cfg = Variable.get("cfg", deserialize_json=True, default_var={"a": 1})
with AirflowDAG("wired", default_args=args, schedule_interval=None, catchup=False, doc_md=__doc__, tags=["a"], template_searchpath=[conf.get("core", "dags_folder")]) as dag_:
    a, b, c, e = [EmptyOperator(task_id=x) for x in "abce"]
    a >> Label("x") >> [b, c]
    chain(a, Label("to e"), e)
    cross_downstream([b, c], [EmptyOperator(task_id="f"), EmptyOperator(task_id="g")])
    with TaskGroup("tg") as tg:
        h = BashOperator(task_id="h", bash_command="echo", trigger_rule=TriggerRule.ALL_DONE.value)
        h.doc_md = "x"
    tg.set_upstream(a); tg << b
    chain([b, c], [EmptyOperator(task_id="i"), EmptyOperator(task_id="j")], EmptyOperator(task_id="k"))
    PythonOperator.partial(task_id="m1", python_callable=print).expand(op_args=[[1], [2]])
    PythonOperator.partial(task_id="m2", python_callable=print).expand(op_kwargs=[{"end": "x"}])
    MyPg(task_id="pg", sql="select 1", extra="{{ ds }}", postgres_conn_id="x")
    Dyn(task_id="dyn")
    ExternalTaskSensor(task_id="ext", external_dag_id="x", external_task_id="y", execution_date_fn=lambda dt: dt, allowed_states=[State.SUCCESS], failed_states=[TaskInstanceState.FAILED])
    p = PythonOperator(task_id="p", python_callable=lambda: {"k": 1})
    q = PythonOperator(task_id="q", python_callable=print, op_kwargs={"sep": p.output["k"], "end": XComArg(p)})
    @task(task_id="named", retries=3, execution_timeout=timedelta(minutes=1), trigger_rule="all_done", pool="pp", multiple_outputs=True)
    def f(x, y=2, **kwargs):
        return {}

    r = f(p.output, y=cfg["a"])
    r["z"] >> EmptyOperator(task_id="z")
    f.override(task_id="again", queue="q")(1)
    @task_group(group_id="grp", tooltip="x")
    def grp(n):
        @task
        def inner(v):
            return v

        return inner(inner(n))
    out = grp(r["z"])
    out >> EmptyOperator(task_id="after_grp")
    for t in list(dag_.tasks):
        assert t.dag is dag_
assert State.finished and State.unfinished and TaskInstanceState.SUCCESS.value == "success" and TriggerRule.is_valid("all_done")
assert airflow.operators.python.PythonOperator is PythonOperator
dag_.doc_md = "later"
assert [t.task_id for t in dag_.get_task("e").upstream_list] == ["a"]
assert timezone.datetime(2021, 1, 1) < timezone.utcnow()
@dag(schedule=None, start_date=timezone.datetime(2021, 1, 1), default_args=args)
def wired_by_decorator():
    EmptyOperator(task_id="x")
made_dag = wired_by_decorator()
