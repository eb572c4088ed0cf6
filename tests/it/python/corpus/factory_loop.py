# expect factory_red: first=success last=success -> success
# expect factory_blue: first=success last=success -> success
# expect factory_extra: only=success -> success
"""DAGs out of a loop, kept in globals() as people do it."""
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator

CONFIGS = {"red": {"schedule": None, "words": ["a", "b"]}, "blue": {"schedule": "@daily", "words": ["c"]}}


def create_dag(dag_id, config):
    dag = DAG(dag_id, schedule_interval=config["schedule"], start_date=datetime(2024, 1, 1), catchup=False,
              is_paused_upon_creation=False, default_args={"owner": dag_id})
    with dag:
        first = BashOperator(task_id="first", bash_command=" ".join(["echo"] + config["words"]))
        last = EmptyOperator(task_id="last")
        first >> last
    return dag


for name, config in CONFIGS.items():
    if name == "blue":
        config = dict(config, schedule=None)
    globals()[f"factory_{name}"] = create_dag(f"factory_{name}", config)

extra = DAG("factory_extra", schedule=None, start_date=datetime(2024, 1, 1))
extra.add_task(EmptyOperator(task_id="only"))
