"""Dynamic task mapping: as many instances as the task before found elements.

    find ──► measure [0..n] ──► add_up
      └────► greet [0..n]
"""

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task

with DAG("example_dynamic_mapping", schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "mapping"]):

    @task
    def find():
        return ["ann", "bob", "charlie"]

    @task(map_index_template="{{ name }}")
    def measure(name: str, factor: int):
        return len(name) * factor

    @task
    def add_up(lengths):
        return sum(lengths)

    names = find()
    add_up(measure.partial(factor=10).expand(name=names))
    # The function runs with each instance; Bash itself needs no Python.
    BashOperator.partial(task_id="greet").expand(bash_command=names.map(lambda name: f"echo hello {name}"))
