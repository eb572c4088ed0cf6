# expect metadata_database: cleanup=failed find=failed no_session=success -> failed
"""A clean-up DAG that talks to Airflow's database: it loads, and its tasks say what to do instead."""
import logging
from datetime import timedelta

import airflow
from airflow import settings
from airflow.configuration import conf
from airflow.jobs.base_job import BaseJob
from airflow.models import DAG, DagModel, DagRun, Log, SlaMiss, TaskInstance, TaskReschedule, Variable, XCom
from airflow.operators.python_operator import PythonOperator
from airflow.settings import Session
from airflow.utils import timezone
from airflow.utils.db import create_session, provide_session
from airflow.utils.state import State

START_DATE = airflow.utils.dates.days_ago(1)
now = timezone.utcnow
MAX_AGE_IN_DAYS = int(Variable.get("max_db_entry_age_in_days", 30))
PARALLELISM = conf.getint("core", "parallelism")
BASE_LOG_FOLDER = conf.get("core", "base_log_folder").rstrip("/")
DATABASE_OBJECTS = [
    {"airflow_db_model": BaseJob, "age_check_column": BaseJob.latest_heartbeat, "keep_last": False},
    {"airflow_db_model": DagRun, "age_check_column": DagRun.execution_date, "keep_last_group_by": DagRun.dag_id},
    {"airflow_db_model": TaskInstance, "age_check_column": TaskInstance.execution_date},
    {"airflow_db_model": Log, "age_check_column": Log.dttm},
    {"airflow_db_model": XCom, "age_check_column": XCom.execution_date},
    {"airflow_db_model": SlaMiss, "age_check_column": SlaMiss.execution_date},
    {"airflow_db_model": TaskReschedule, "age_check_column": TaskReschedule.execution_date},
]
session = settings.Session()


def cleanup(**context):
    logging.info("older than %s", now() - timedelta(MAX_AGE_IN_DAYS))
    for entry in DATABASE_OBJECTS:
        session.query(entry["airflow_db_model"]).filter(entry["age_check_column"] <= now()).delete()


@provide_session
def find(session=None, **context):
    with create_session() as other:
        other.commit()
    DagRun.find(dag_id="x", state=State.RUNNING)


def no_session(**context):
    opened = Session()
    try:
        assert TIMEZONE_IS_KNOWN and DagModel.is_paused is not None
    finally:
        opened.close()


TIMEZONE_IS_KNOWN = settings.TIMEZONE.name == "UTC"

dag = DAG("metadata_database", default_args={"owner": "ops", "start_date": START_DATE, "retries": 0}, schedule_interval=None)
for function in (cleanup, find, no_session):
    PythonOperator(task_id=function.__name__, python_callable=function, provide_context=True, dag=dag)
