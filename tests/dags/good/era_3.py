"""Airflow 3's spelling."""
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, TaskGroup, TriggerRule, chain, dag, task


class Hello(BaseOperator):
    template_fields = ("name",)

    def __init__(self, name, greeting="hello", **kwargs):
        super().__init__(**kwargs)
        self.name, self.greeting = name, greeting

    def execute(self, context):
        return f"{self.greeting} {self.name}"


with DAG(
    "era_3",
    schedule=CronTriggerTimetable("0 3 * * 1", timezone="Europe/Zurich"),
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    end_date=datetime(2030, 1, 1),
    default_args={"retries": 1, "greeting": "good day"},
):
    a = Hello(task_id="a", name="{{ ds }}")
    b = BashOperator(task_id="b", bash_command=f"echo {a.output}", execution_timeout=timedelta(seconds=30),
                     retry_exponential_backoff=True, max_retry_delay=60, pool="small", pool_slots=2,
                     priority_weight=5, weight_rule="absolute", queue="quick", do_xcom_push=False, doc_md="runs")
    c = PythonOperator(task_id="c", python_callable=print, op_args=[a.output, datetime(2020, 1, 1), "{{ ds }}"])
    d = EmptyOperator(task_id="d", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    [b, c] >> d

with DAG("era_3_every", schedule=timedelta(minutes=90)):
    EmptyOperator(task_id="only")
