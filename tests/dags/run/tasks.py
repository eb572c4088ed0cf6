"""Tasks that end in every way a task can."""
import logging
import os
import sys
from datetime import datetime

import pendulum

from airflow import DAG
from airflow.decorators import task
from airflow.exceptions import AirflowFailException, AirflowSkipException
from airflow.models import BaseOperator, Variable
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator, get_current_context
from airflow.providers.docker.operators.docker import DockerOperator

log = logging.getLogger(__name__)


def skip():
    raise AirflowSkipException("nothing to do")


def fail_for_good():
    raise AirflowFailException("never again")


def fail():
    inner({"a": 1})


def inner(values):
    return values["b"]


def by_name(name, ds, ti, dag_run, params, logical_date, next_ds, **context):
    log.info("a line of logging")
    print("a line of print", file=sys.stderr)
    return {
        "name": name,
        "ds": ds,
        "try": ti.try_number,
        "conf": dag_run.conf,
        "rows": params["rows"],
        "week": logical_date.add(weeks=1).to_date_string(),
        "next_ds": next_ds,
        "ts": context["ts"],
        "task": context["task"].task_id,
        "tomorrow": context["tomorrow_ds"],
        "same": get_current_context()["run_id"] == context["run_id"],
        "added": context["macros"].ds_add(ds, 5),
    }


def push_and_pull(ti):
    ti.xcom_push(key="half", value=21)
    return ti.xcom_pull(task_ids="other", key="half") * 2


def missing_context(run_id, extra=4):
    return [run_id, extra]


class Shout(BaseOperator):
    template_fields = ("word",)

    def __init__(self, word, **kwargs):
        super().__init__(**kwargs)
        self.word = word

    def execute(self, context):
        return self.word.upper()


class BashTwice(BashOperator):
    def execute(self, context):
        return super().execute(context) * 2


with DAG("tasks", schedule="@daily", start_date=datetime(2024, 1, 1), params={"rows": 10}) as dag:
    PythonOperator(task_id="by_name", python_callable=by_name, op_args=["{{ ds }}"])
    PythonOperator(task_id="skip", python_callable=skip)
    PythonOperator(task_id="fail_for_good", python_callable=fail_for_good)
    PythonOperator(task_id="fail", python_callable=fail)
    PythonOperator(task_id="push_and_pull", python_callable=push_and_pull)
    PythonOperator(task_id="missing_context", python_callable=missing_context, op_kwargs={"extra": 5})
    PythonOperator(task_id="not_json", python_callable=lambda: {"rows": [1, datetime(2024, 1, 1)]})
    PythonOperator(task_id="quiet", python_callable=lambda: 5, do_xcom_push=False)
    PythonOperator(task_id="none", python_callable=lambda: None)
    PythonOperator(task_id="crash", python_callable=os._exit, op_args=[7])
    PythonOperator(task_id="exits", python_callable=sys.exit, op_args=[2])
    PythonOperator(task_id="variable", python_callable=lambda: Variable.get("nowhere"))
    PythonOperator(
        task_id="as_written",
        python_callable=lambda when, words: [when.year, when.tzinfo.name, words],
        op_kwargs={"when": pendulum.datetime(2024, 5, 1, tz="Europe/Zurich"), "words": ["{{ ds }}", "plain"]},
    )
    PythonOperator(
        task_id="templates_dict",
        python_callable=lambda templates_dict: templates_dict["day"],
        templates_dict={"day": "{{ ds }}"},
    )
    Shout(task_id="shout", word="{{ ds }}")
    BashTwice(task_id="bash_twice", bash_command="echo first; echo last")
    DockerOperator(task_id="docker", image="x")

    @task
    def numbers():
        return [1, 2, 3]

    @task(multiple_outputs=True)
    def split(values, factor=10):
        return {"sum": sum(values) * factor, "count": len(values)}

    @task
    def join(total, pair):
        return [total, pair]

    parts = split(numbers())
    join(parts["sum"], {"deep": [parts["count"]]})
