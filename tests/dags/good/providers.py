"""Operators of packages that are not installed: the graph is there, and each says that it cannot run."""
from airflow import DAG
from airflow.contrib.operators.ssh_operator import SSHOperator
from airflow.hooks.S3_hook import S3Hook
from airflow.operators.python import BranchPythonOperator, PythonOperator
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sensors.external_task import ExternalTaskSensor

hook = S3Hook("aws_default")

with DAG("providers", schedule=None) as dag:
    wait = ExternalTaskSensor(task_id="wait", external_dag_id="other", retries=4)
    pod = KubernetesPodOperator(task_id="pod", image="alpine", cmds=["true"])
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "ssh")
    ssh = SSHOperator(task_id="ssh", command="true")
    wait >> pod >> choose >> ssh
