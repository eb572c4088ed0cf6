# expect datasets_producer: make=success yields=success decorated=success -> success
# expect datasets_consumer: use=success -> not triggered
# expect assets_any: use=success -> not triggered
# expect report: report=success -> not triggered
"""Datasets of Airflow 2 and assets of Airflow 3."""
import pendulum

from airflow import DAG, Dataset
from airflow.datasets import DatasetAlias
from airflow.datasets.metadata import Metadata
from airflow.decorators import task
from airflow.operators.bash import BashOperator
from airflow.sdk import Asset, AssetAny, asset
from airflow.timetables.datasets import DatasetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

orders = Dataset("s3://bucket/orders", extra={"owner": "me"})
returns = Asset(name="returns", uri="s3://bucket/returns")

with DAG("datasets_producer", schedule=None, start_date=pendulum.datetime(2021, 1, 1)):
    BashOperator(task_id="make", bash_command="echo made", outlets=[orders])

    @task(outlets=[returns])
    def yields(*, outlet_events):
        outlet_events[returns].extra = {"rows": 3}
        yield Metadata(returns, {"more": 4})

    @task(outlets=[DatasetAlias("daily")])
    def decorated(outlet_events):
        outlet_events["daily"].add(Dataset("s3://bucket/daily"))

    decorated()
    yields()

with DAG("datasets_consumer", schedule=[orders, returns], start_date=pendulum.datetime(2021, 1, 1)):

    @task
    def use(triggering_dataset_events=None):
        print(triggering_dataset_events)

    use()

with DAG("assets_any", start_date=pendulum.datetime(2021, 1, 1), schedule=DatasetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 1 * * 3", timezone="UTC"), datasets=(orders | returns))):
    BashOperator(task_id="use", bash_command="echo {{ triggering_asset_events | length }}")


@asset(schedule=AssetAny(orders, returns), uri="s3://bucket/report")
def report(self, context):
    print(self.uri, context["ds"])
