"""Days that build on each other, and what may be left out.

`total` adds to what the day before has left, so it waits until that day's `total` has
succeeded (`depends_on_past`). On some days there is nothing to mail, and only the newest
day is published.
"""

from datetime import datetime

from airflow.decorators import task
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.latest_only import LatestOnlyOperator
from airflow.operators.python import ShortCircuitOperator

with DAG(
    "day_after_day",
    description="Each day waits for the one before.",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["example", "past"],
) as dag:
    total = BashOperator(task_id="total", bash_command="echo the total of {{ ds }}", depends_on_past=True)

    is_even = ShortCircuitOperator(task_id="is_even", python_callable=lambda logical_date: logical_date.day % 2 == 0)
    mail = BashOperator(task_id="mail", bash_command="echo mail goes out on even days")

    @task.branch
    def weekday_or_weekend(logical_date=None):
        return "weekend" if logical_date.isoweekday() > 5 else "weekday"

    weekday = BashOperator(task_id="weekday", bash_command="echo a working day")
    weekend = BashOperator(task_id="weekend", bash_command="echo a day off")

    newest = LatestOnlyOperator(task_id="newest")
    publish = BashOperator(task_id="publish", bash_command="echo only the newest day is published")

    total >> is_even >> mail
    total >> weekday_or_weekend() >> [weekday, weekend]
    total >> newest >> publish
