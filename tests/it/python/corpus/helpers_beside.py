# expect helpers_beside: first=success second=success third=success -> success
"""What lies beside a DAG file: a package, a module and a configuration."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from airflow import DAG  # noqa: E402
from airflow.models.baseoperator import chain  # noqa: E402
from parts.work import START, make_task  # noqa: E402

with open(os.path.join(os.path.dirname(__file__), "parts", "helpers_beside.json")) as file:
    CONFIG = json.load(file)

with DAG(CONFIG["dag_id"], start_date=START, schedule=CONFIG["schedule"]):
    chain(*[make_task(name) for name in CONFIG["tasks"]])
