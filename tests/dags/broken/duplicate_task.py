from airflow import DAG
from airflow.operators.empty import EmptyOperator

with DAG("duplicate_task", schedule=None):
    EmptyOperator(task_id="same")
    EmptyOperator(task_id="other")
    EmptyOperator(task_id="same")
