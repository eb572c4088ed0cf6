"""What a run can come to, in names that both runners have."""

import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import Variable, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

SOON = datetime.timedelta(seconds=1)


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False, params={"factor": 10})
def work():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def square(n):
        return n * n

    @task
    def total(values, factor):
        return sum(values) * int(factor)

    @task(multiple_outputs=True)
    def parts():
        return {"left": "l", "right": {"deep": [1, None, 2.5]}}

    @task
    def show(left, right):
        return "%s %s" % (left, right["deep"])

    @task.branch
    def choose(n):
        return "small" if n < 100 else "big"

    @task
    def skips():
        raise AirflowSkipException("not today")

    @task(trigger_rule="none_failed")
    def after_skip():
        return "ran"

    @task(retries=3, retry_delay=SOON)
    def fails_for_good():
        raise AirflowFailException("no use")

    @task(retries=1, retry_delay=SOON)
    def second_try(**context):
        if context["ti"].try_number == 1:
            raise ValueError("the first one")
        return context["ti"].try_number

    @task(trigger_rule="all_done")
    def counts():
        Variable.set("sdk_count", "7")
        return Variable.get("sdk_count")

    def once_more(**context):
        return context["task_reschedule_count"] > 0

    squares = square.expand(n=numbers())
    sum_of = total(squares, "{{ params.factor }}")
    both = parts()
    show(both["left"], both["right"])
    choose(sum_of) >> [EmptyOperator(task_id="small"), BashOperator(task_id="big", bash_command="echo {{ ti.xcom_pull('total') }}")]
    skips() >> after_skip()
    fails_for_good() >> EmptyOperator(task_id="never")
    second_try() >> counts()
    ShortCircuitOperator(task_id="short", python_callable=lambda: False) >> EmptyOperator(task_id="cut")
    PythonSensor(task_id="looks_twice", python_callable=once_more, mode="reschedule", poke_interval=1)
    BashOperator(task_id="exits_99", bash_command="exit 99")
    BashOperator.partial(task_id="echo").expand(bash_command=["echo one", "echo two"])


work()
