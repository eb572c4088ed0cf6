# expect sensors: file=success python=success bash=success delta=success time=success moment=success weekday=success own=success patient=success flow=success use=success soft=skipped -> success
"""Sensors of Airflow's own and of an author's."""
import os
import tempfile
from datetime import datetime, time, timedelta

from airflow import DAG
from airflow.decorators import task
from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
from airflow.sensors.bash import BashSensor
from airflow.sensors.date_time import DateTimeSensor
from airflow.sensors.filesystem import FileSensor
from airflow.sensors.python import PythonSensor
from airflow.sensors.time_delta import TimeDeltaSensor
from airflow.sensors.time_sensor import TimeSensor
from airflow.sensors.weekday import DayOfWeekSensor
from airflow.utils.decorators import apply_defaults
from airflow.utils.weekday import WeekDay


class OwnSensor(BaseSensorOperator):
    template_fields = ("day",)
    ui_color = "#ff0000"

    @apply_defaults
    def __init__(self, day, *args, **kwargs):
        super(OwnSensor, self).__init__(*args, **kwargs)
        self.day = day

    def poke(self, context):
        self.log.info("Looking for %s", self.day)
        return self.day == context["ds"]


class PatientSensor(BaseSensorOperator):
    def poke(self, context):
        return context["ti"].reschedules >= 1


with DAG("sensors", start_date=datetime(2024, 1, 1), schedule=None, default_args={"poke_interval": 0.1}) as dag:
    FileSensor(task_id="file", filepath=os.path.abspath(__file__), timeout=60, mode="reschedule")
    PythonSensor(task_id="python", python_callable=lambda ds: bool(ds), op_kwargs={}, timeout=20)
    BashSensor(task_id="bash", bash_command="true")
    TimeDeltaSensor(task_id="delta", delta=timedelta(seconds=0))
    TimeSensor(task_id="time", target_time=time(0, 0, 0))
    DateTimeSensor(task_id="moment", target_time="{{ macros.ds_add(ds, -1) }}T00:00:00+00:00")
    DayOfWeekSensor(task_id="weekday", week_day=[d for d in WeekDay])
    OwnSensor(task_id="own", day="{{ ds }}", poke_interval=1, timeout=10)
    PatientSensor(task_id="patient", mode="reschedule", poke_interval=0.2)
    PythonSensor(task_id="soft", python_callable=lambda: False, timeout=0.2, soft_fail=True)

    @task.sensor(poke_interval=0.1, timeout=60, mode="poke")
    def flow() -> PokeReturnValue:
        return PokeReturnValue(is_done=True, xcom_value="found")

    @task
    def use(value):
        assert value == "found"

    use(flow())
