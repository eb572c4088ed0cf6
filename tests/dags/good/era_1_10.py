"""Airflow 1.10's spelling."""
from datetime import timedelta

import airflow
from airflow import DAG
from airflow.models import Variable
from airflow.operators.bash_operator import BashOperator
from airflow.operators.dummy_operator import DummyOperator
from airflow.operators.python_operator import PythonOperator
from airflow.utils.dates import days_ago
from airflow.utils.helpers import chain
from airflow.utils.trigger_rule import TriggerRule

args = {
    "owner": "ana",
    "depends_on_past": False,
    "start_date": airflow.utils.dates.days_ago(2),
    "email": ["ana@example.com"],
    "email_on_failure": False,
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
}

dag = DAG("era_1_10", default_args=args, schedule_interval="0 6 * * *", concurrency=3, max_active_runs=1,
          default_view="graph", orientation="LR", dagrun_timeout=timedelta(hours=1))


def greet(name, ds, **kwargs):
    print("hello", name, ds, kwargs["run_id"])


start = DummyOperator(task_id="start", dag=dag)
greeting = PythonOperator(task_id="greet", python_callable=greet, op_kwargs={"name": "{{ ds }}"}, provide_context=True, dag=dag)
listing = BashOperator(task_id="list", bash_command="ls", xcom_push=True, retries=0, dag=dag)
end = DummyOperator(task_id="end", trigger_rule=TriggerRule.ALL_DONE, dag=dag)
setting = Variable.get("absent", default_var="fallback")

chain(start, [greeting, listing], end)
