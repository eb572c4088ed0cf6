# expect context_names: all_names=success current=success by_name=success templates=success pull_many=success -> success
"""Every name of the context, in Python and in templates, those that Airflow 3 took away among them."""
from datetime import datetime

from airflow import DAG, macros
from airflow.models import DagRun, TaskInstance, XCom
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator, get_current_context
from airflow.utils.operator_helpers import context_to_airflow_vars

NAMES = """conf conn dag dag_run data_interval_end data_interval_start ds ds_nodash execution_date inlets logical_date macros
map_index next_ds next_ds_nodash next_execution_date outlets params prev_ds prev_execution_date run_id task task_instance
task_instance_key_str test_mode ti tomorrow_ds tomorrow_ds_nodash triggering_asset_events triggering_dataset_events ts
ts_nodash ts_nodash_with_tz var yesterday_ds yesterday_ds_nodash inlet_events outlet_events""".split()


def all_names(**context):
    missing = [name for name in NAMES if name not in context]
    assert not missing, missing
    run, ti = context["dag_run"], context["ti"]
    assert isinstance(run, DagRun) and isinstance(ti, TaskInstance)
    assert ti.key.task_id == "all_names" and ti.try_number == 1 and run.run_id == context["run_id"]
    assert context["dag"].get_task("templates").task_type == "BashOperator"
    assert context["logical_date"].strftime("%Y%m%dT%H%M%S") == context["ts_nodash"]
    assert context["logical_date"].add(days=1).to_date_string() == context["tomorrow_ds"]
    assert macros.ds_add("2024-01-01", 5) == "2024-01-06" and context["macros"].ds_format("2024-01-01", "%Y-%m-%d", "%d") == "01"
    assert context_to_airflow_vars(context, in_env_var_format=True)["AIRFLOW_CTX_DAG_ID"] == "context_names"
    assert ti.get_template_context()["ds"] == context["ds"] and ti.get_dagrun() is run
    return context["ds"]


def current():
    context = get_current_context()
    assert context["var"].value.get("absent", "fallback") == "fallback"
    assert context["dag_run"].run_type == "manual" and context["dag_run"].external_trigger
    return {"run": context["run_id"]}


def by_name(ds, ti, task, dag, params, *args, logical_date=None, **_):
    assert ds == logical_date.to_date_string() and task.owner == "me" and dag.dag_id == ti.dag_id


def pull_many(ti):
    day, run = ti.xcom_pull(task_ids=["all_names", "current"])
    assert day and run["run"] == ti.run_id
    assert XCom.get_one(key="return_value", task_id="all_names", run_id=ti.run_id) == day
    assert ti.xcom_pull(task_ids="nobody", default=5) == 5
    ti.xcom_push("mine", {"deep": [1]})


with DAG("context_names", start_date=datetime(2024, 1, 1), schedule="@daily", catchup=False, default_args={"owner": "me"}) as dag:
    first = PythonOperator(task_id="all_names", python_callable=all_names, provide_context=True)
    second = PythonOperator(task_id="current", python_callable=current)
    third = PythonOperator(task_id="by_name", python_callable=by_name)
    shell = BashOperator(
        task_id="templates",
        bash_command="""
            set -e
            test "{{ ds }}" = "{{ execution_date.strftime('%Y-%m-%d') }}"
            test "{{ ds_nodash }}" = "{{ ds | replace('-', '') }}"
            test "{{ macros.ds_add(ds, 1) }}" = "{{ tomorrow_ds }}"
            test -n "{{ ts }}{{ ts_nodash }}{{ run_id }}{{ task_instance_key_str }}"
            test "{{ ti.xcom_pull(task_ids='all_names') }}" = "{{ ds }}"
            test "{{ task.task_id }}-{{ dag.dag_id }}-{{ params.get('x', 'none') }}" = templates-context_names-none
            test "$AIRFLOW_CTX_TASK_ID" = templates
        """,
    )
    many = PythonOperator(task_id="pull_many", python_callable=pull_many)
    [first, second, third] >> shell >> many
