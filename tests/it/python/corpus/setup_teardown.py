# expect setup_teardown: create=success work=failed delete=success start=success inside=success stop=success -> failed
"""Setups and teardowns: the failure between them fails the run, the teardown runs all the same."""
import pendulum

from airflow.decorators import setup, task, teardown
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator

with DAG(dag_id="setup_teardown", start_date=pendulum.datetime(2021, 1, 1), schedule=None, default_args={"retries": 0}):
    create = BashOperator(task_id="create", bash_command="echo 'Hello'").as_setup()
    work = BashOperator(task_id="work", bash_command="exit 1")
    delete = BashOperator(task_id="delete", bash_command="echo 'Goodbye'").as_teardown(setups=create)
    create >> work >> delete

    @setup
    def start():
        return "cluster"

    @teardown(on_failure_fail_dagrun=False)
    def stop(cluster):
        assert cluster == "cluster"

    @task
    def inside():
        print("in the middle")

    cluster = start()
    with stop(cluster) as scope:
        scope.add_task(inside())
