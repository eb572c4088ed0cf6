from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("typo", shedule_interval="@daily", dafault_args={}, default_args={"retires": 2}) as dag:
    BashOperator(task_id="a", bash_command="true", trigger_rul="all_done")
