# expect custom_operators: hello=success around=success deferred=success pick=success left=success right=skipped skipper=success skipped_by_mixin=skipped bash_twice=success kwargs_only=success -> success
"""Operators, branches and triggers of authors."""
import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any, Optional, Sequence

from airflow import DAG
from airflow.exceptions import AirflowException
from airflow.models import BaseOperator, SkipMixin
from airflow.models.baseoperator import BaseOperatorLink
from airflow.operators.bash import BashOperator
from airflow.operators.branch import BaseBranchOperator
from airflow.operators.empty import EmptyOperator
from airflow.plugins_manager import AirflowPlugin
from airflow.triggers.base import BaseTrigger, TriggerEvent
from airflow.triggers.temporal import TimeDeltaTrigger
from airflow.utils.context import Context
from airflow.utils.decorators import apply_defaults
from airflow.utils.log.logging_mixin import LoggingMixin


class Link(BaseOperatorLink):
    name = "Docs"

    def get_link(self, operator, *, ti_key):
        return "https://example.com"


class HelloOperator(BaseOperator):
    template_fields: Sequence[str] = ("name", "options")
    template_ext = (".txt",)
    ui_color = "#e8b7e4"
    operator_extra_links = (Link(),)

    @apply_defaults
    def __init__(self, name: str, options: Optional[dict] = None, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.name, self.options = name, options

    def execute(self, context: Context) -> Any:
        message = f"Hello {self.name} {self.options['day']}"
        self.log.info(message)
        assert self.options["day"] == context["ds"], self.options
        return message

    def on_kill(self):
        self.log.info("stopped")


class CountTrigger(BaseTrigger):
    def __init__(self, upto):
        super().__init__()
        self.upto = upto

    def serialize(self):
        return "custom_operators.CountTrigger", {"upto": self.upto}

    async def run(self):
        for _ in range(self.upto):
            await asyncio.sleep(0.01)
        yield TriggerEvent({"counted": self.upto})


class DeferringOperator(BaseOperator):
    def execute(self, context):
        self.defer(trigger=TimeDeltaTrigger(timedelta(milliseconds=20)), method_name="then")

    def then(self, context, event=None):
        self.defer(trigger=CountTrigger(3), method_name="done", kwargs={"word": "yes"}, timeout=timedelta(seconds=20))

    def done(self, context, word, event=None):
        assert event == {"counted": 3} and word == "yes"
        return event["counted"]


class PickOperator(BaseBranchOperator):
    def choose_branch(self, context):
        return "left"


class SkipperOperator(BaseOperator, SkipMixin):
    def execute(self, context):
        self.skip(context["dag_run"], context["logical_date"], context["task"].get_direct_relatives(upstream=False))


class BashTwice(BashOperator):
    def execute(self, context):
        self.bash_command += "; echo twice"
        last = super().execute(context)
        if last != "twice":
            raise AirflowException(last)
        return last


class KwargsOnly(BaseOperator, LoggingMixin):
    def __init__(self, *, mapping, **kwargs):
        super().__init__(**kwargs)
        self.mapping = mapping

    def pre_execute(self, context):
        self.before = True

    def execute(self, context):
        assert self.before and isinstance(self.log, logging.Logger)
        return sorted(self.mapping)

    def post_execute(self, context, result=None):
        assert result == ["a", "b"]


class Plugin(AirflowPlugin):
    name = "nothing"
    operators = [HelloOperator]


seen = []

with DAG("custom_operators", start_date=datetime(2024, 1, 1), schedule=None) as dag:
    HelloOperator(task_id="hello", name="{{ dag.dag_id }}", options={"day": "{{ ds }}"})
    KwargsOnly(task_id="kwargs_only", mapping={"b": 1, "a": object()})
    from airflow.operators.python import PythonOperator

    PythonOperator(task_id="around", python_callable=lambda: seen.copy(), pre_execute=lambda context: seen.append(context["ds"]),
                   post_execute=lambda context, result=None: result.remove(context["ds"]))
    DeferringOperator(task_id="deferred")
    PickOperator(task_id="pick") >> [EmptyOperator(task_id="left"), EmptyOperator(task_id="right")]
    SkipperOperator(task_id="skipper") >> EmptyOperator(task_id="skipped_by_mixin")
    BashTwice(task_id="bash_twice", bash_command="echo once")
