from airflow import DAG
from airflow.operators.empty import EmptyOperator

with DAG("between_lists", schedule=None):
    a, b, c = (EmptyOperator(task_id=name) for name in "abc")
    [a] >> [b, c]
