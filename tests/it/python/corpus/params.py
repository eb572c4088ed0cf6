# expect params: show=success check=success from_function=success -> success
"""Parameters with schemas, in every place where they can stand."""
from datetime import datetime

from airflow import DAG
from airflow.decorators import dag, task
from airflow.models.param import Param, ParamsDict
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator


def check(params, **context):
    assert isinstance(params, ParamsDict)
    assert params["x"] == 3 and params["names"] == ["Linda", "Martha"], dict(params)
    assert params["own"] == "task" and context["dag_run"].conf == {}
    return params["x"] * 2


with DAG(
    "params", start_date=datetime(2024, 1, 1), schedule=None, render_template_as_native_obj=True,
    params={
        "x": Param(3, type="integer", minimum=1, maximum=20, description="a number", title="X"),
        "names": Param(["Linda", "Martha"], type="array"),
        "maybe": Param(None, type=["null", "string"]),
        "plain": "text",
    },
) as the_dag:
    BashOperator(task_id="show", bash_command="test {{ params.x }} -eq 3 && test {{ params.plain }} = text")
    checked = PythonOperator(task_id="check", python_callable=check, params={"own": "task"})

    @task
    def from_function(x, doubled):
        assert (int(x), doubled) == (3, 6)

    from_function(the_dag.param("x"), checked.output)
