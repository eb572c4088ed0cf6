"""Dynamic task mapping in Python: one call, many task instances.

    numbers ──► add [0..2] ──► total
       └──► per_number [0..2]: double ──► say
"""

from datetime import datetime

from airflow.decorators import dag, task, task_group
from airflow.operators.bash import BashOperator


def command(number):
    """Runs with each instance, not while the file is read."""
    return f"echo number {number}"


@dag(schedule=None, start_date=datetime(2024, 1, 1), tags=["example", "mapping"])
def mapped_in_python():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def add(x, y):
        return x + y

    @task
    def total(values):
        return sum(values)

    @task_group
    def per_number(number):
        @task
        def double(n):
            return 2 * n

        doubled = double(number)
        # A value inside a text is no dependency by itself.
        doubled >> BashOperator(task_id="say", bash_command=f"echo {number} {doubled}")
        return doubled

    found = numbers()
    total(add.partial(y=10).expand(x=found))
    total.override(task_id="total_of_doubles")(per_number.expand(number=found))

    BashOperator.partial(task_id="greet", append_env=True).expand_kwargs(
        [
            {"bash_command": "echo hello $WHO", "env": {"WHO": "{{ dag.dag_id }}"}},
            {"bash_command": "echo bye $WHO", "env": {"WHO": "you"}},
        ]
    )
    BashOperator.partial(task_id="echo").expand(bash_command=found.map(command))

    @task
    def pair(both):
        number, letter = both
        return f"{number}{letter}"

    pair.expand(both=found.zip(["a", "b"], fillvalue="-"))


mapped_in_python()
