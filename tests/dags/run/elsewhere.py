"""Functions for other interpreters; the tests run them one by one."""

import os
from datetime import date, datetime

from airflow.providers.standard.operators.python import ExternalPythonOperator, PythonVirtualenvOperator
from airflow.sdk import DAG, task

WHEEL = os.environ.get("UPDRAFT_TEST_WHEEL", "none.whl")
NAME = "of the file"


@task.external_python(python="python3")
def plain(number, ds, more=2):
    import sys

    print("a line from elsewhere")
    return [number, more, ds, "updraft_bridge.run" in sys.modules, "NAME" in globals()]


@task.external_python(python="python3")
def day(when):
    return when.isoformat()


@task.external_python(python="python3")
def fails():
    def inner():
        return {}["b"]

    inner()


@task.external_python(python="python3")
def skips():
    from airflow.exceptions import AirflowSkipException

    raise AirflowSkipException("nothing to do")


@task.external_python(python="python3", skip_on_exit_code=7)
def leaves(code):
    import sys

    sys.exit(code)


@task.external_python(python="python3")
def no_json():
    return {1, 2}


@task.external_python(python="python3")
def wants_ti(ti):
    return 1


@task.external_python(python="/nowhere/python")
def nowhere():
    return 1


@task.branch_external_python(python="python3")
def branch():
    return "plain"


@task.virtualenv(requirements=[WHEEL], pip_install_options=["--no-index"], system_site_packages=False)
def in_venv(word):
    import sys

    import updraft_test_wheel

    return [updraft_test_wheel.shout(word), "venvs" in sys.prefix]


@task.virtualenv(requirements=["updraft-no-such-thing==1"], pip_install_options=["--no-index"])
def not_there():
    return 1


@task.branch_virtualenv
def branch_in_venv():
    return ["plain", "day"]


@task.virtualenv(python_version="2.1")
def too_old():
    return 1


def add_one(number):
    return number + 1


with DAG("elsewhere", schedule=None, start_date=datetime(2024, 1, 1)):
    plain(1)
    day(date(2024, 2, 29))
    fails()
    skips()
    leaves(7)
    leaves.override(task_id="leaves_otherwise")(3)
    no_json()
    wants_ti()
    nowhere()
    branch()
    in_venv("hello")
    not_there()
    branch_in_venv()
    too_old()
    ExternalPythonOperator(task_id="operator", python="python3", python_callable=add_one, op_args=[41])
    PythonVirtualenvOperator(task_id="in_venv_operator", python_callable=add_one, op_kwargs={"number": 1})
