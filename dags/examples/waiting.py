"""Sensors: Airflow's own wait without Python, an author's own pokes in it.

    file ──► calendar ──► own
"""

import os
from datetime import datetime, timedelta

from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, BaseSensorOperator, PokeReturnValue, task


class AnswerSensor(BaseSensorOperator):
    """Done when it has been asked twice; in mode `reschedule` it holds no slot in between."""

    template_fields = ("question",)

    def __init__(self, question: str, **kwargs):
        super().__init__(**kwargs)
        self.question = question

    def poke(self, context):
        self.log.info("%s", self.question)
        asked = context["ti"].reschedules + 1
        return PokeReturnValue(is_done=asked >= 2, xcom_value=asked)


with DAG("example_waiting", schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "sensor"]):
    file = FileSensor(task_id="file", filepath=os.path.abspath(__file__), poke_interval=1, timeout=60)
    calendar = TimeDeltaSensor(task_id="calendar", delta=timedelta(0), poke_interval=1)
    own = AnswerSensor(task_id="own", question="Is {{ run_id }} done yet?", mode="reschedule", poke_interval=0.5)

    @task
    def tell(asked):
        print(f"asked {asked} times")

    file >> calendar >> own
    tell(own.output)
