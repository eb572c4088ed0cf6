# expect providers_heavy: prepare=success query=failed pod=upstream_failed upload=upstream_failed notify=upstream_failed plain=success by_hook=failed -> failed
"""A file full of providers that are not installed: the graph is there, and each task says what it needs."""
from datetime import datetime

from airflow import DAG
from airflow.contrib.hooks.gcp_api_base_hook import GoogleCloudBaseHook
from airflow.kubernetes.secret import Secret
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.transfers.local_to_s3 import LocalFilesystemToS3Operator
from airflow.providers.cncf.kubernetes.operators.kubernetes_pod import KubernetesPodOperator
from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator
from airflow.providers.google.cloud.operators.dataproc import ClusterGenerator
from airflow.providers.slack.operators.slack_webhook import SlackWebhookOperator

hook = S3Hook(aws_conn_id="aws_default")
bucket = hook.get_bucket("lake").name
CLUSTER = ClusterGenerator(project_id="p", zone="z", num_workers=2).make()
secret = Secret("env", "PASSWORD", "secrets", "password")


def use_hook():
    return S3Hook().read_key("key", bucket_name="lake")


class Loader(GoogleCloudBaseHook):
    def load(self):
        return self.get_conn()


with DAG("providers_heavy", start_date=datetime(2024, 1, 1), schedule=None, default_args={"retries": 0, "gcp_conn_id": "g"}):
    prepare = BashOperator(task_id="prepare", bash_command="echo ready")
    query = BigQueryInsertJobOperator(task_id="query", configuration={"query": {"query": "SELECT 1"}}, project_id="p")
    pod = KubernetesPodOperator(task_id="pod", name="pod", namespace="default", image="alpine", secrets=[secret],
                                arguments=[f"--from={bucket}", query.output])
    upload = LocalFilesystemToS3Operator(task_id="upload", filename="x", dest_key="y", dest_bucket=bucket)
    notify = SlackWebhookOperator(task_id="notify", message="done", cluster=CLUSTER)
    plain = BashOperator(task_id="plain", bash_command="echo still here")
    by_hook = PythonOperator(task_id="by_hook", python_callable=use_hook)
    prepare >> query >> pod >> upload >> notify
    prepare >> [plain, by_hook]
