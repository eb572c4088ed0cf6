"""Tasks for the file above."""
from datetime import datetime

from airflow.operators.python import PythonOperator

from .names import shout

START = datetime(2024, 1, 1)


def make_task(name):
    return PythonOperator(task_id=name, python_callable=shout, op_kwargs={"name": name})
