# expect pendulum_names: arithmetic=success -> success
"""What DAG files ask of pendulum, which is not installed here."""
import datetime as dt

import pendulum
from pendulum import DateTime, duration
from pendulum.tz.timezone import Timezone

from airflow import DAG
from airflow.operators.python import PythonOperator

LOCAL_TZ = pendulum.timezone("Europe/Zurich")
START = pendulum.datetime(2024, 3, 30, 12, tz=LOCAL_TZ)


def arithmetic(logical_date):
    assert isinstance(logical_date, DateTime)
    summer = START.add(days=1)
    assert (START.utcoffset(), summer.utcoffset()) == (dt.timedelta(hours=1), dt.timedelta(hours=2))
    assert START.in_timezone("UTC").to_iso8601_string() == "2024-03-30T11:00:00Z"
    assert START.start_of("month").to_date_string() == "2024-03-01" and START.end_of("month").day == 31
    assert START.subtract(months=1).to_date_string() == "2024-02-29"
    assert pendulum.parse("2024-05-01T10:00:00+02:00").in_tz("UTC").hour == 8
    assert pendulum.parse("2024-05-01").format("YYYY/MM/DD") == "2024/05/01"
    assert (pendulum.datetime(2024, 5, 3) - pendulum.datetime(2024, 5, 1)).in_days() == 2
    assert pendulum.datetime(2024, 5, 1).diff(pendulum.datetime(2024, 5, 3)).in_hours() == 48
    assert pendulum.instance(dt.datetime(2024, 1, 1)).timezone_name == "UTC"
    assert pendulum.today("UTC") <= pendulum.now("UTC") < pendulum.tomorrow("UTC")
    assert pendulum.from_timestamp(0).year == 1970 and pendulum.from_format("2024-02-03", "YYYY-MM-DD").day == 3
    assert duration(days=1, hours=2).total_hours() == 26 and isinstance(LOCAL_TZ, Timezone)
    assert pendulum.datetime(2024, 5, 1).next(pendulum.MONDAY).to_date_string() == "2024-05-06"
    assert pendulum.datetime(2024, 5, 1).previous(pendulum.SUNDAY).to_date_string() == "2024-04-28"
    assert pendulum.datetime(2024, 5, 15).first_of("month").day == 1 and pendulum.datetime(2024, 5, 15).last_of("month").day == 31
    assert pendulum.datetime(2024, 5, 1).diff_for_humans(pendulum.datetime(2024, 5, 3)) == "2 days before"
    days = pendulum.period(pendulum.datetime(2024, 5, 1), pendulum.datetime(2024, 5, 3))
    assert [day.day for day in days.range("days")] == [1, 2, 3] and days.days == 2
    assert START.replace(hour=0).add(hours=1).hour == 1 and START.date().isoformat() == "2024-03-30"
    assert START.int_timestamp == int(START.timestamp()) and START.day_of_year == 90


with DAG("pendulum_names", start_date=START, schedule=None):
    PythonOperator(task_id="arithmetic", python_callable=arithmetic)
