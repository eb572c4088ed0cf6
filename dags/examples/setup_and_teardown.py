"""Setup and teardown: the table is dropped although the query fails, and clearing the query clears both.

    create_table ──► query ──► drop_table
"""

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, setup, task, teardown

with DAG("example_setup_and_teardown", schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "setup"]):
    create = BashOperator(task_id="create_table", bash_command="echo created")
    query = BashOperator(task_id="query", bash_command="echo asked")
    drop = BashOperator(task_id="drop_table", bash_command="echo dropped")
    create >> query >> drop.as_teardown(setups=create)

    @setup
    def start_cluster():
        return "cluster-1"

    @teardown
    def stop_cluster(name):
        print("stopping", name)

    @task
    def work():
        print("working")

    with stop_cluster(start_cluster()):
        work()
