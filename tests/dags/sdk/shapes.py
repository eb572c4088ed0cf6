"""What a graph can look like, in names that both runners have."""

import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset, Label, Param, TaskGroup, chain, dag, setup, task, task_group, teardown

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

with DAG(
    "settings", description="every setting", schedule="0 6 * * *", start_date=START, end_date=START + datetime.timedelta(days=90),
    catchup=False, max_active_runs=3, max_active_tasks=5, dagrun_timeout=datetime.timedelta(hours=2), fail_fast=False,
    tags=["b", "a"], is_paused_upon_creation=True, default_args={"owner": "ann", "retries": 2},
    params={"plain": 3, "checked": Param(1, type="integer", minimum=0, description="a number")}, doc_md="# Title",
) as settings:
    first = BashOperator(
        task_id="first", bash_command="echo {{ ds }} {{ params.plain }}", env={"A": "b"}, append_env=True, cwd="/tmp",
        retry_delay=datetime.timedelta(seconds=7), execution_timeout=datetime.timedelta(minutes=1), pool_slots=2,
        priority_weight=4, weight_rule="absolute", trigger_rule="all_done", depends_on_past=True, queue="own", retries=0,
        skip_on_exit_code=[3, 4],
    )
    second = EmptyOperator(task_id="second", wait_for_downstream=True, max_active_tis_per_dag=1)
    third = PythonOperator(task_id="third", python_callable=print, op_args=["{{ ds }}"], do_xcom_push=False, outlets=[Asset("made")])
    first >> Label("then") >> second >> third

with DAG("every_hour", schedule=datetime.timedelta(hours=1), start_date=START, catchup=False):
    EmptyOperator(task_id="only")

with DAG("after_assets", schedule=(Asset("left") | Asset("right")), start_date=START):
    EmptyOperator(task_id="only")


@dag(schedule=None, start_date=START)
def groups():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def double(n):
        return n * 2

    @task_group
    def inner(n):
        return double(n)

    @task
    def add(values):
        return sum(values)

    with TaskGroup("outer") as outer:
        a, b = EmptyOperator(task_id="a"), EmptyOperator(task_id="b")
        with TaskGroup("deep", tooltip="deeper"):
            EmptyOperator(task_id="c")
        a >> b
    doubled = double.expand(n=numbers())
    chain(outer, doubled, EmptyOperator(task_id="z"))
    add(doubled)
    inner.override(group_id="mapped").expand(n=[1, 2])


groups()


@dag(schedule=None, start_date=START)
def made_and_taken_away():
    @setup
    def make():
        pass

    @task
    def use():
        pass

    @teardown
    def take_away():
        pass

    made = make()
    made >> use() >> take_away().as_teardown(setups=made)


made_and_taken_away()
