import os

from airflow import DAG
from airflow.operators.empty import EmptyOperator

with DAG("deletes_itself", schedule=None):
    EmptyOperator(task_id="only")

os.unlink(__file__)
