"""Task groups, parameters with a schema, and templates.

    hello ──► [ load: one ──► two ] ──► [ each: shout ──► count ] ──► bye
"""

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param, TaskGroup, chain, task, task_group

with DAG(
    "example_groups_and_params", schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "group"],
    params={
        "name": Param("world", type="string", minLength=1, title="Name", description="Whom to greet."),
        "loud": Param(False, type="boolean"),
    },
    user_defined_macros={"sign": "!"},
) as dag:
    hello = BashOperator(task_id="hello", bash_command="echo 'hello {{ params.name }}{{ sign if params.loud else \".\" }}'")

    with TaskGroup("load", tooltip="Two steps", default_args={"retries": 2}) as load:
        one = BashOperator(task_id="one", bash_command="echo one")
        two = BashOperator(task_id="two", bash_command="echo two")
        one >> two

    @task_group
    def each(name):
        @task
        def shout(text):
            return text.upper()

        @task
        def count(text):
            return len(text)

        return count(shout(name))

    bye = BashOperator(task_id="bye", bash_command="echo bye from {{ run_id }}")
    chain(hello, load, each(dag.param("name")), bye)
