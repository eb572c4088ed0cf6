# expect every_preset: only=success -> not triggered
# expect by_cron: only=success -> not triggered
# expect by_delta: only=success -> not triggered
# expect by_interval: only=success -> not triggered
# expect by_trigger: only=success -> not triggered
# expect by_crons: only=success -> not triggered
# expect by_duration: only=success -> not triggered
# expect by_own_timetable: only=success -> not triggered
"""Schedules in all their forms."""
from datetime import datetime, timedelta

import pendulum

from airflow import DAG
from airflow.operators.empty import EmptyOperator
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable, MultipleCronTriggerTimetable


class AfterWorkday(Timetable):
    def infer_manual_data_interval(self, *, run_after):
        return DataInterval(start=run_after, end=run_after)

    def next_dagrun_info(self, *, last_automated_data_interval, restriction: TimeRestriction):
        return DagRunInfo.interval(start=restriction.earliest, end=restriction.earliest)


far = pendulum.now("UTC").add(years=5).start_of("year")
SCHEDULES = {
    "every_preset": {"schedule_interval": "@weekly"},
    "by_cron": {"schedule": "*/15 2-6 * * 1-5"},
    "by_delta": {"schedule_interval": timedelta(hours=6)},
    "by_interval": {"timetable": CronDataIntervalTimetable("0 1 * * 3", timezone="Europe/Amsterdam")},
    "by_trigger": {"schedule": CronTriggerTimetable("0 1 * * 3", timezone=pendulum.timezone("America/New_York"))},
    "by_crons": {"schedule": MultipleCronTriggerTimetable("10 6 * * *", "10 18 * * *", timezone="UTC")},
    "by_duration": {"schedule": pendulum.duration(days=1, hours=2)},
    "by_own_timetable": {"timetable": AfterWorkday()},
}
for name, arguments in SCHEDULES.items():
    with DAG(name, start_date=far, end_date=datetime(2199, 1, 1), catchup=False, **arguments) as dag:
        EmptyOperator(task_id="only")
    globals()[name] = dag
assert DeltaDataIntervalTimetable(timedelta(days=1)).delta.days == 1
