"""Airflow 2's spelling."""
import pendulum

from airflow import DAG
from airflow.decorators import dag, task, task_group
from airflow.models.baseoperator import chain, cross_downstream
from airflow.models.param import Param
from airflow.operators import bash
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator, get_current_context
from airflow.utils.edgemodifier import Label
from airflow.utils.task_group import TaskGroup

with DAG(
    dag_id="era_2",
    description="Groups, labels and lists.",
    start_date=pendulum.datetime(2024, 1, 1, tz="Europe/Zurich"),
    schedule="@hourly",
    max_active_tasks=4,
    catchup=True,
    tags=["b", "a"],
    params={"rows": Param(10, type="integer", minimum=1)},
    doc_md="# Documentation",
    is_paused_upon_creation=False,
) as with_groups:
    first = EmptyOperator(task_id="first")
    with TaskGroup("load", tooltip="loading", default_args={"retries": 7}) as load:
        left = bash.BashOperator(task_id="left", bash_command="echo {{ params.rows }}", env={"A": "1"}, append_env=True)
        with TaskGroup("inner") as inner:
            right = bash.BashOperator(task_id="right", bash_command="exit 5", skip_on_exit_code=[5, 6], cwd="/tmp")
        left >> inner
    last = EmptyOperator(task_id="last")
    extra = [EmptyOperator(task_id=f"extra_{n}") for n in range(2)]
    first >> Label("go") >> load >> last
    cross_downstream([first, left], extra)
    extra << EmptyOperator(task_id="before_extras")


@dag(schedule=None, start_date=pendulum.datetime(2024, 1, 1), default_args={"owner": "bo"})
def era_2_taskflow(limit: int = 5):
    """What the function's docstring says."""

    @task
    def extract():
        return {"rows": [1, 2, 3]}

    @task(multiple_outputs=True, retries=3)
    def transform(data, limit) -> dict:
        return {"sum": sum(data["rows"]), "limit": limit}

    @task
    def load(total):
        print(total, get_current_context()["run_id"])

    @task_group
    def twice(total):
        load(total)
        load.override(task_id="again")(total)

    result = transform(extract(), limit)
    twice(result["sum"])


era_2_taskflow()
