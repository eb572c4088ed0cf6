"""Airflow's own language, old and new spellings side by side.

This file needs nothing but ``python3``; Bash tasks do not even need that at run time.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator


def add(left, right):
    """What a Python task returns is its XCom."""
    total = left + right
    print(f"{left} + {right} = {total}")
    return total


with DAG(
    "every_language",
    description="Bash and Python tasks, written in Python.",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"owner": "data", "retries": 1, "retry_delay": timedelta(seconds=10)},
    tags=["example", "python"],
) as dag:
    begin = EmptyOperator(task_id="begin")
    shell = BashOperator(task_id="shell", bash_command="echo 'a shell on run {{ run_id }}'")
    python = PythonOperator(task_id="python", python_callable=add, op_kwargs={"left": 20, "right": 22})
    end = BashOperator(task_id="end", bash_command="echo done", trigger_rule="all_done")

    begin >> [shell, python] >> end
