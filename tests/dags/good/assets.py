"""Assets in the spellings of Airflow 2 and 3."""
from airflow.datasets import Dataset, DatasetAlias
from airflow.decorators import task
from airflow.sdk import DAG, Asset, AssetAlias, Metadata, Param, asset
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

orders = Asset("orders", "s3://bucket/orders", extra={"team": "sales"})
returns = Dataset("s3://bucket/returns")

with DAG(
    "producer",
    schedule=None,
    params={"rows": Param(3, type="integer", minimum=1), "table": Param(type="string"), "odd": {"default": 1}},
):

    @task(outlets=[orders, AssetAlias("daily")], inlets=returns)
    def produce():
        yield Metadata(orders, {"rows": 3})

    produce()

with DAG("either", schedule=(orders & returns) | DatasetAlias("daily")):

    @task
    def use(triggering_asset_events=None):
        print(triggering_asset_events)

    use()

with DAG("both", schedule=[orders, returns]):
    use.override(task_id="used")()

with DAG(
    "times",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 1 * * *", timezone="UTC"), assets=orders | returns),
):
    use.override(task_id="used")()


@asset(schedule="@daily", uri="s3://bucket/report", group="report")
def report(self, context, orders):
    return self.name
