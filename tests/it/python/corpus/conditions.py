# expect conditions: runs=success skips=skipped both=skipped shell=success branch=success a=skipped b=success circuit=success never=skipped latest=success after_latest=success -> success
"""Decorators that decide: run_if, skip_if, branch, short_circuit; and LatestOnlyOperator."""
import pendulum

from airflow.decorators import dag, task
from airflow.operators.empty import EmptyOperator
from airflow.operators.latest_only import LatestOnlyOperator


@dag(start_date=pendulum.datetime(2024, 1, 1, tz="UTC"), schedule=None, catchup=False)
def conditions():
    @task.run_if(lambda context: context["task_instance"].task_id.endswith("runs"))
    @task
    def runs():
        return 1

    @task.skip_if(lambda context: True, skip_message="not today")
    @task()
    def skips():
        raise AssertionError("it was to be skipped")

    @task.run_if(lambda context: True)
    @task.skip_if(lambda context: True)
    @task
    def both():
        raise AssertionError("it was to be skipped")

    @task.run_if(lambda context: (True, "why not"))
    @task.bash
    def shell():
        return "echo hello"

    @task.branch
    def branch():
        return "b"

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def circuit():
        return []

    runs(), skips(), both(), shell()
    branch() >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    circuit() >> EmptyOperator(task_id="never")
    LatestOnlyOperator(task_id="latest") >> EmptyOperator(task_id="after_latest")


conditions()
