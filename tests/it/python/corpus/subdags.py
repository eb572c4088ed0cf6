# expect subdags: start=success section-1.task-1=success section-1.task-2=success end=success -> success
"""A SubDagOperator of Airflow 1.10: its tasks run as a group."""
from airflow.executors.sequential_executor import SequentialExecutor
from airflow.models import DAG
from airflow.operators.dummy_operator import DummyOperator
from airflow.operators.subdag_operator import SubDagOperator
from airflow.utils.dates import days_ago

args = {'owner': 'airflow', 'start_date': days_ago(2)}


def subdag(parent_dag_name, child_dag_name, args):
    dag_subdag = DAG(dag_id='%s.%s' % (parent_dag_name, child_dag_name), default_args=args, schedule_interval="@daily")
    first = DummyOperator(task_id='task-1', default_args=args, dag=dag_subdag)
    first >> DummyOperator(task_id='task-2', dag=dag_subdag)
    return dag_subdag


dag = DAG(dag_id='subdags', default_args=args, schedule_interval=None)
start = DummyOperator(task_id='start', dag=dag)
section_1 = SubDagOperator(task_id='section-1', subdag=subdag('subdags', 'section-1', args), executor=SequentialExecutor(),
                           default_args=args, dag=dag)
end = DummyOperator(task_id='end', dag=dag)
start >> section_1 >> end
