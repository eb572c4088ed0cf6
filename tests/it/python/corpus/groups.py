# expect groups: start=success section_1.task_1=success section_1.task_2=success section_1.inner.deep=success double.twice=success double.thrice=success flat=success end=success -> success
"""Task groups, written as a block and as a decorator."""
import pendulum

from airflow.models.dag import DAG
from airflow.decorators import task, task_group
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.utils.task_group import TaskGroup

with DAG(dag_id="groups", start_date=pendulum.datetime(2021, 1, 1, tz="Europe/Amsterdam"), schedule=None) as dag:
    start = EmptyOperator(task_id="start")

    with TaskGroup("section_1", tooltip="Tasks for section_1", default_args={"retries": 2}) as section_1:
        task_1 = EmptyOperator(task_id="task_1")
        task_2 = BashOperator(task_id="task_2", bash_command="echo 1")
        with TaskGroup("inner", tooltip="Tasks for inner_section2") as inner:
            EmptyOperator(task_id="deep")
        task_1 >> [task_2, inner]

    @task_group(group_id="double", ui_color="#123456")
    def numbers(value: int):
        @task
        def twice(n):
            return 2 * n

        @task
        def thrice(n):
            assert n == 42, n

        thrice(twice(value))

    with TaskGroup("no_prefix", prefix_group_id=False):
        flat = EmptyOperator(task_id="flat")

    end = EmptyOperator(task_id="end")
    start >> section_1 >> numbers(21) >> flat >> end
