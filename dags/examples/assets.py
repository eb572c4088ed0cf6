"""Assets: what one DAG makes starts another one.

    example_assets_producer: make  ══ orders ══►  example_assets_consumer: use
"""

from datetime import datetime

from airflow.sdk import DAG, Asset, Metadata, task

orders = Asset("example_orders", "file:///tmp/example_orders")

with DAG("example_assets_producer", schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "asset"]):

    @task(outlets=[orders])
    def make():
        yield Metadata(orders, {"rows": 3})

    make()

with DAG("example_assets_consumer", schedule=[orders], start_date=datetime(2024, 1, 1), tags=["example", "asset"]):

    @task
    def use(triggering_asset_events=None):
        for asset, events in triggering_asset_events.items():
            print(asset.name, [event.extra for event in events])

    use()
