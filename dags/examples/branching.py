"""Branches: what is not followed is skipped, and a join runs where nothing failed.

    start ──► choose ──► small ──► join
                 └─────► large ─────┘
"""

from datetime import datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Label, Param, TriggerRule, task

with DAG(
    "example_branching", schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "branch"],
    params={"rows": Param(3, type="integer", minimum=0, description="Ten and more take the way of the many.")},
):
    start = EmptyOperator(task_id="start")

    @task.branch
    def choose(params=None):
        return "large" if params["rows"] >= 10 else "small"

    small = EmptyOperator(task_id="small")
    large = EmptyOperator(task_id="large")
    join = EmptyOperator(task_id="join", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)

    @task.run_if(lambda context: context["params"]["rows"] > 0)
    @task
    def celebrate():
        print("there is something to celebrate")

    chosen = choose()
    start >> chosen
    chosen >> Label("few rows") >> small >> join
    chosen >> Label("many rows") >> large >> join
    join >> celebrate()
