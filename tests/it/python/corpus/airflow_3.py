# expect airflow_3: begin=success hello=success add=success storage=success parsing=success raw=success end=success -> success
"""Airflow 3 in its own words."""
from __future__ import annotations

import tempfile
from datetime import datetime, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import (
    DAG, BaseNotifier, Context, ObjectStoragePath, Param, TriggerRule, Variable, chain, get_current_context,
    get_parsing_context, literal, task,
)
from airflow.sdk.exceptions import AirflowException


class Told(BaseNotifier):
    template_fields = ("message",)

    def __init__(self, message: str):
        super().__init__()
        self.message = message

    def notify(self, context: Context):
        print(self.message, context["ti"].task_id)


wanted = get_parsing_context().dag_id


def storage():
    with tempfile.TemporaryDirectory() as folder:
        base = ObjectStoragePath("file://" + folder)
        path = base / "deep" / "x.txt"
        path.parent.mkdir(parents=True)
        path.write_text("hello")
        assert path.exists() and path.read_text() == "hello" and [p.name for p in path.parent.iterdir()] == ["x.txt"]
        assert (path.name, path.suffix, path.protocol) == ("x.txt", ".txt", "file")


def parsing():
    assert get_parsing_context().dag_id == "airflow_3", get_parsing_context()
    if Variable.get("absent", default=None) is not None:
        raise AirflowException("nobody set it")


if wanted in (None, "airflow_3"):
    with DAG(
        dag_id="airflow_3", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=timezone.utc), tags={"a", "b"},
        params={"n": Param(2, type="integer")}, on_failure_callback=Told("the run failed"),
    ):
        begin = EmptyOperator(task_id="begin")
        hello = BashOperator(task_id="hello", bash_command="echo hello {{ params.n }}", on_success_callback=[Told("done {{ ds }}")])

        @task
        def add(left: int, right: int) -> int:
            assert get_current_context()["params"]["n"] == right
            return left + right

        raw = PythonOperator(task_id="raw", python_callable=lambda text: text.index("{{ ds }}"), op_args=[literal("{{ ds }}")])
        chain(begin, [hello, add(1, 2)], EmptyOperator(task_id="end", trigger_rule=TriggerRule.ALL_DONE))
        begin >> [PythonOperator(task_id="storage", python_callable=storage), PythonOperator(task_id="parsing", python_callable=parsing), raw]
