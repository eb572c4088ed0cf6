from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("bad_value", schedule=None):
    BashOperator(
        task_id="a",
        bash_command="true",
        retries="two",
    )
