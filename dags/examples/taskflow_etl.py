"""TaskFlow: functions are tasks, and what one returns is an argument of the next.

    extract ──► transform ──► load
                    └───────► report
"""

import json
from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "taskflow"])
def example_taskflow_etl():
    @task
    def extract():
        return json.loads('{"1001": 301.27, "1002": 433.21, "1003": 502.22}')

    @task(multiple_outputs=True)
    def transform(orders: dict):
        return {"total": round(sum(orders.values()), 2), "count": len(orders)}

    @task
    def load(total: float):
        print(f"the total is {total}")
        return total

    @task.bash
    def report(count: int):
        # What a `@task.bash` function returns is the command to run.
        return f"echo {count} orders"

    summary = transform(extract())
    load(summary["total"])
    report(summary["count"])


example_taskflow_etl()
