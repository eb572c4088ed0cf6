# expect unknown_arguments: a=success b=success c=success d=success e=success f=success g=success h=success i=success j=success k=success l=success m.n=success o=success p=success q=success -> not triggered
"""Arguments that nobody knows: each is warned of by its name, none keeps the file from loading."""
from airflow import DAG
from airflow.sdk import Asset, TaskGroup, task
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator, BranchPythonOperator, ShortCircuitOperator
from airflow.sensors.python import PythonSensor
from airflow.sensors.filesystem import FileSensor
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.operators.sql import SQLCheckOperator
from airflow.operators.latest_only import LatestOnlyOperator
from airflow.operators.weekday import BranchDayOfWeekOperator
from airflow.operators.email import EmailOperator
from airflow.operators.empty import EmptyOperator


def f():
    return 1


with DAG("unknown_arguments", schedule=None, nonsense=1) as dag:
    BashOperator(task_id="a", bash_command="x", bash_comand=1)
    PythonOperator(task_id="b", python_callable=f, foo=1)
    BranchPythonOperator(task_id="c", python_callable=f, foo=1)
    ShortCircuitOperator(task_id="d", python_callable=f, foo=1)
    PythonSensor(task_id="e", python_callable=f, foo=1)
    FileSensor(task_id="f", filepath="x", foo=1)
    TriggerDagRunOperator(task_id="g", trigger_dag_id="x", foo=1)
    SQLCheckOperator(task_id="h", sql="x", foo=1)
    LatestOnlyOperator(task_id="i", foo=1)
    BranchDayOfWeekOperator(task_id="j", week_day="Monday", follow_task_ids_if_true="a", follow_task_ids_if_false="b", foo=1)
    EmailOperator(task_id="k", to="x", subject="y", html_content="z", foo=1)
    EmptyOperator(task_id="l", foo=1)
    with TaskGroup("m", foo=1):
        EmptyOperator(task_id="n")
    @task(foo=1)
    def o():
        pass

    o()
    @task.sensor(foo=1)
    def p():
        pass

    p()
    @task.bash(foo=1)
    def q():
        pass

    q()
    Asset("x", foo=1)
