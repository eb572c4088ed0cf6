# expect mapping: list_files=success count=success total=success add=success say=success pairs=success per_file.read=success per_file.keep=success -> success
"""Dynamic task mapping, all the ways of its manual."""
from datetime import datetime

from airflow import DAG
from airflow.decorators import task, task_group
from airflow.operators.bash import BashOperator

with DAG(dag_id="mapping", schedule=None, start_date=datetime(2022, 3, 4)) as dag:

    @task
    def list_files():
        return ["a.csv", "bb.csv", "ccc.csv"]

    @task
    def count(name):
        return len(name)

    @task
    def total(values):
        assert list(values) == [5, 6, 7], list(values)

    @task
    def add(x: int, y: int):
        return x + y

    files = list_files()
    total(count.expand(name=files))
    add.partial(y=10).expand(x=[1, 2, 3])
    BashOperator.partial(task_id="say", append_env=True).expand(bash_command=files.map(lambda name: "echo " + name))

    @task
    def pairs(pair):
        assert len(pair) == 2

    pairs.expand(pair=files.zip([1, 2, 3]))

    @task_group
    def per_file(name):
        @task
        def read(path):
            return {"path": path}

        @task
        def keep(content):
            assert content["path"].endswith(".csv")

        keep(read(name))

    per_file.expand(name=files)
