# expect branch_and_join: start=success choose=success small=success big=skipped join=success only_if_big=skipped guard=success guarded=skipped always=success -> success
"""Branches and short circuits of Airflow 2, with the trigger rules that people put behind them."""
from datetime import datetime

from airflow import DAG
from airflow.operators.dummy import DummyOperator
from airflow.operators.python import BranchPythonOperator, ShortCircuitOperator
from airflow.utils.edgemodifier import Label
from airflow.utils.trigger_rule import TriggerRule


def choose(params, **_):
    return 'small' if params['rows'] < 10 else ['big']


with DAG(
    dag_id='branch_and_join', start_date=datetime(2022, 1, 1), schedule_interval=None, tags=['branch'],
    params={'rows': 3}, max_active_runs=1, doc_md='# Branches',
) as dag:
    start = DummyOperator(task_id='start')
    decide = BranchPythonOperator(task_id='choose', python_callable=choose)
    small, big = DummyOperator(task_id='small'), DummyOperator(task_id='big')
    join = DummyOperator(task_id='join', trigger_rule=TriggerRule.NONE_FAILED_OR_SKIPPED)
    only = DummyOperator(task_id='only_if_big')
    guard = ShortCircuitOperator(task_id='guard', python_callable=lambda: False)
    guarded = DummyOperator(task_id='guarded')
    always = DummyOperator(task_id='always', trigger_rule=TriggerRule.ALL_DONE)

    start >> decide
    decide >> Label('few rows') >> small >> join
    decide >> Label('many rows') >> big >> [only, join]
    join >> guard >> guarded
    [join, start] >> always
