# expect providers_of_old: own=success emr=success step=success pod=success s=success spark=success dbt=success ssh=success -> not triggered
"""Operators, sensors and hooks of a dozen providers, under the names of three eras of Airflow."""
from datetime import datetime, timedelta
from airflow import DAG
from airflow.operators.python import PythonOperator, PythonVirtualenvOperator, BranchPythonOperator, ShortCircuitOperator, get_current_context
from airflow.operators.bash import BashOperator
from airflow.operators.dummy_operator import DummyOperator
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.hooks.base_hook import BaseHook
from airflow.models import Variable, XCom, DagRun, TaskInstance
from airflow.exceptions import AirflowException, AirflowSkipException
from airflow.utils.dates import days_ago
from airflow.utils.db import provide_session
from airflow.contrib.operators.ssh_operator import SSHOperator
from airflow.contrib.operators.gcs_to_bq import GoogleCloudStorageToBigQueryOperator
from airflow.contrib.hooks.bigquery_hook import BigQueryHook
from airflow.operators.slack_operator import SlackAPIPostOperator
from airflow.contrib.operators.slack_webhook_operator import SlackWebhookOperator
from airflow.providers.google.cloud.operators.gcs import GCSDeleteObjectsOperator
from airflow.providers.google.cloud.sensors.gcs import GCSObjectExistenceSensor
from airflow.providers.amazon.aws.operators.emr import EmrCreateJobFlowOperator
from airflow.providers.amazon.aws.sensors.emr import EmrStepSensor
from airflow.providers.snowflake.operators.snowflake import SnowflakeOperator
from airflow.providers.microsoft.azure.hooks.wasb import WasbHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.dbt.cloud.operators.dbt import DbtCloudRunJobOperator
from airflow.providers.cncf.kubernetes.operators.kubernetes_pod import KubernetesPodOperator
from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
from airflow.kubernetes.volume import Volume
from airflow.kubernetes.volume_mount import VolumeMount

class Own(GoogleCloudStorageToBigQueryOperator):
    template_fields = GoogleCloudStorageToBigQueryOperator.template_fields + ("x",)

    def __init__(self, x, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.x = x

    def execute(self, context):
        self.x = BigQueryHook().get_conn()
        return super().execute(context)

def notify(context):
    SlackWebhookHook(http_conn_id="x").send(text="x")

@provide_session
def with_session(ds, session=None, **kw):
    return 1

volume = Volume(name="x", configs={})
with DAG("providers_of_old", schedule_interval=None, start_date=days_ago(1), default_args={"on_failure_callback": notify, "gcp_conn_id": "x"}) as dag:
    own = Own(task_id="own", x="{{ ds }}", bucket="b", source_objects=["{{ ds }}"])
    emr = EmrCreateJobFlowOperator(task_id="emr", job_flow_overrides={})
    step = EmrStepSensor(task_id="step", job_flow_id="{{ task_instance.xcom_pull('emr', key='x') }}", step_id=emr.output["x"])
    pod = KubernetesPodOperator(task_id="pod", name="x", volumes=[volume], volume_mounts=[VolumeMount("x", mount_path="y", sub_path=None, read_only=True)], resources={"a": 1}, arguments=["x"], env_vars={"A": "{{ ds }}"})
    s = PythonOperator(task_id="s", python_callable=with_session)
    spark = SparkSubmitOperator.partial(task_id="spark", application="x").expand(application_args=[["1"], ["2"]])
    dbt = DbtCloudRunJobOperator(task_id="dbt", job_id=1, wait_for_termination=True, timeout=10)
    ssh = SSHOperator(task_id="ssh", command="ls", ssh_conn_id="x", timeout=3, trigger_rule="all_done", retries=2)
    own >> emr >> step >> [pod, s] >> spark >> dbt >> ssh
