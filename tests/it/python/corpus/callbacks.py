# expect callbacks: good=success bad=failed retried=success after=success -> success
"""Callbacks, as people attach them."""
from datetime import datetime, timedelta
from functools import partial

from airflow import DAG
from airflow.exceptions import AirflowException, AirflowFailException
from airflow.models import TaskInstance
from airflow.operators.python import PythonOperator
from airflow.utils.email import send_email


def alert(context, channel="none"):
    ti: TaskInstance = context.get("task_instance")
    print(f"Task {ti.task_id} of {context['dag_run'].run_id} in {channel}: {context.get('exception')} {ti.log_url}")


def fail():
    raise AirflowFailException("never again")


def once(ti):
    if ti.try_number == 1:
        raise AirflowException("the first time")


with DAG("callbacks", start_date=datetime(2024, 1, 1), schedule=None, on_failure_callback=alert, on_success_callback=[alert],
         default_args={"on_failure_callback": partial(alert, channel="ops"), "retries": 1, "retry_delay": timedelta(seconds=0)}):
    good = PythonOperator(task_id="good", python_callable=lambda: 1, on_success_callback=alert, on_execute_callback=alert)
    bad = PythonOperator(task_id="bad", python_callable=fail)
    retried = PythonOperator(task_id="retried", python_callable=once, on_retry_callback=alert)
    after = PythonOperator(task_id="after", python_callable=callable, op_args=[send_email], trigger_rule="all_done")
    [good, bad, retried] >> after
