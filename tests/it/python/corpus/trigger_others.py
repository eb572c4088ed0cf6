# expect trigger_target: say=success -> success
# expect trigger_others: native=success by_function=success from_code=success wait=success seen=success -> success
"""Runs of another DAG, asked for natively, by a function of Airflow 1.10, and from Python code."""
from datetime import datetime

from airflow import DAG
from airflow.api.common.trigger_dag import trigger_dag
from airflow.operators.bash import BashOperator
from airflow.operators.dagrun_operator import TriggerDagRunOperator
from airflow.operators.python import PythonOperator

with DAG("trigger_target", start_date=datetime(2024, 1, 1), schedule=None):
    BashOperator(task_id="say", bash_command="echo {{ dag_run.conf.get('word', 'nothing') }}")


def conditionally(context, dag_run_obj):
    if context["params"].get("go", True):
        dag_run_obj.payload = {"word": "from a function"}
        return dag_run_obj


def from_code():
    return trigger_dag("trigger_target", conf={"word": "from code"}).run_id


def seen(ti):
    runs = [ti.xcom_pull(task_ids="native", key="trigger_run_id"), ti.xcom_pull(task_ids="from_code"),
            ti.xcom_pull(task_ids="by_function", key="trigger_run_id")]
    assert len(set(runs)) == 3 and all(runs), runs


with DAG("trigger_others", start_date=datetime(2024, 1, 1), schedule=None):
    native = TriggerDagRunOperator(task_id="native", trigger_dag_id="trigger_target", conf={"word": "{{ ds }}"})
    by_function = TriggerDagRunOperator(task_id="by_function", trigger_dag_id="trigger_target", python_callable=conditionally)
    code = PythonOperator(task_id="from_code", python_callable=from_code)
    wait = TriggerDagRunOperator(task_id="wait", trigger_dag_id="trigger_target", wait_for_completion=True, poke_interval=0.2,
                                 trigger_run_id="waited_for", reset_dag_run=True)
    native >> by_function >> code >> wait >> PythonOperator(task_id="seen", python_callable=seen)
