from airflow import DAG
from airflow.decorators import dag, task
from airflow.operators.empty import EmptyOperator


def make():
    lost = DAG("lost", schedule=None)
    EmptyOperator(task_id="only", dag=lost)


make()


@dag(schedule=None)
def never_called():
    pass


with DAG("found", schedule=None):
    EmptyOperator(task_id="only")
