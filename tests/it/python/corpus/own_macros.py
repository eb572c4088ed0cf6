# expect own_macros: shell=success python=success -> success
"""Values as macros of a DAG's own: they need neither Python nor another package."""
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator


def check(path, days):
    assert path == "s3://lake/raw" and days == ["mon", "it's \"tue\""], (path, days)


with DAG(
    "own_macros", start_date=datetime(2024, 1, 1), schedule=None, render_template_as_native_obj=False,
    user_defined_macros={"bucket": "lake", "retention": {"days": 30, "off": None, "on": True}, "days": ["mon", "it's \"tue\""]},
):
    BashOperator(task_id="shell", bash_command="test '{{ bucket }}-{{ retention.days }}' = lake-30 && "
                                               "{% if retention.on and not retention.off %}true{% else %}false{% endif %}")
    PythonOperator(task_id="python", python_callable=check,
                   op_kwargs={"path": "s3://{{ bucket }}/raw", "days": ["{{ days[0] }}", "{{ days[1] }}"]})
