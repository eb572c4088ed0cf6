from airflow import DAG
from airflow.operators.empty import EmptyOperator

with DAG("cycle", schedule=None):
    start = EmptyOperator(task_id="start")
    a = EmptyOperator(task_id="a")
    b = EmptyOperator(task_id="b")
    start >> a >> b >> a

with DAG("straight", schedule=None):
    EmptyOperator(task_id="only")
