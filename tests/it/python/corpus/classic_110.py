# expect classic_110: print_date=success sleep=success templated=success push=success pull=success end=success -> success
"""The tutorial's DAG as it was written for Airflow 1.10."""
from datetime import timedelta

import airflow
from airflow import DAG
from airflow.models import Variable
from airflow.operators.bash_operator import BashOperator
from airflow.operators.dummy_operator import DummyOperator
from airflow.operators.python_operator import PythonOperator
from airflow.utils.dates import days_ago

default_args = {
    'owner': 'airflow',
    'depends_on_past': False,
    'start_date': days_ago(2),
    'email': ['airflow@example.com'],
    'email_on_failure': False,
    'email_on_retry': False,
    'retries': 1,
    'retry_delay': timedelta(minutes=5),
    'provide_context': True,
}

dag = DAG(
    'classic_110',
    default_args=default_args,
    description='A simple tutorial DAG',
    schedule_interval=timedelta(days=1),
    catchup=False,
    concurrency=4,
    default_view='graph',
    orientation='TB',
)

t1 = BashOperator(task_id='print_date', bash_command='date', dag=dag)
t2 = BashOperator(task_id='sleep', depends_on_past=False, bash_command='sleep 0', retries=3, dag=dag)
dag.doc_md = __doc__
t1.doc_md = "#### Task Documentation"

templated_command = """
{% for i in range(3) %}
    echo "{{ ds }}"
    echo "{{ macros.ds_add(ds, 7)}}"
    echo "{{ params.my_param }}"
{% endfor %}
"""
t3 = BashOperator(
    task_id='templated',
    depends_on_past=False,
    bash_command=templated_command,
    params={'my_param': 'Parameter I passed in'},
    dag=dag,
)


def push(**kwargs):
    kwargs['ti'].xcom_push(key='numbers', value=[1, 2, 3])
    return int(Variable.get('absent', default_var=7))


def pull(ds, **context):
    ti = context['task_instance']
    numbers, returned = ti.xcom_pull(key='numbers', task_ids='push'), ti.xcom_pull(task_ids='push')
    assert (numbers, returned) == ([1, 2, 3], 7), (numbers, returned)
    assert ti.xcom_pull(key=None or 'return_value', task_ids=['push', 'print_date'])[0] == 7
    assert context['execution_date'].strftime('%Y-%m-%d') == ds and len(context['ds_nodash']) == 8
    assert context['yesterday_ds'] < ds < context['tomorrow_ds']


push_task = PythonOperator(task_id='push', python_callable=push, dag=dag)
pull_task = PythonOperator(task_id='pull', python_callable=pull, provide_context=True, dag=dag)
end = DummyOperator(task_id='end', trigger_rule='all_success', dag=dag)

t1 >> [t2, t3]
t2.set_downstream(push_task)
pull_task.set_upstream([push_task, t3])
pull_task >> end
assert airflow.__version__
