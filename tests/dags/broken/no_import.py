from airflow import DAG

with DAG("no_import", schedule=None):
    BashOperator(task_id="a", bash_command="true")
