"""A run of another DAG, asked for from Python code: what TriggerDagRunOperator does natively, for classes built on it."""

import time

from . import dates
from .exceptions import AirflowException, AirflowSkipException, DagRunAlreadyExists


class TriggeredRun:
    """What is known of the run that was made."""

    def __init__(self, dag_id, run_id, conf, logical_date):
        self.dag_id, self.run_id, self.conf = dag_id, run_id, conf
        self.logical_date = self.execution_date = logical_date
        self.state = "queued"

    def __repr__(self):
        return "<DagRun %s: %s>" % (self.dag_id, self.run_id)


def ask_for_run(dag_id, run_id=None, conf=None, logical_date=None, note=None, fail_when_paused=False):
    """`(run id, whether it is new)`."""
    import json

    from .context import ask
    from ..run import check_json

    conf = json.loads(conf) if isinstance(conf, str) else dict(conf or {})
    check_json(conf, "the conf of a run of `%s`" % dag_id)
    date = dates.from_iso(logical_date) if isinstance(logical_date, str) else logical_date
    if date is not None:
        date = dates.make_aware(date).isoformat()
    reply = ask({"question": "trigger_dag_run", "dag_id": dag_id, "run_id": run_id, "logical_date": date, "conf": conf,
                 "note": note, "fail_when_paused": bool(fail_when_paused)})
    return reply.get("triggered") or reply.get("exists"), "triggered" in reply, conf


def trigger_dag(dag_id, run_id=None, conf=None, execution_date=None, replace_microseconds=True, *, logical_date=None, **kwargs):
    """`airflow.api.common.trigger_dag`: works while a task runs."""
    date = logical_date or execution_date
    made, is_new, conf = ask_for_run(dag_id, run_id, conf, date)
    if not is_new:
        raise DagRunAlreadyExists("a run of %s exists already: %s" % (dag_id, made))
    return TriggeredRun(dag_id, made, conf, date)


class DagRunOrder:
    """What Airflow 1.10 gave to `python_callable`, to be filled and returned."""

    def __init__(self, run_id=None, payload=None):
        self.run_id, self.payload = run_id, payload


def execute(task, context):
    """The work of a TriggerDagRunOperator that has to be done in Python."""
    conf, run_id = task.conf, task.trigger_run_id
    if getattr(task, "python_callable", None) is not None:
        order = task.python_callable(context, DagRunOrder(run_id))
        if not order:
            task.log.info("Criteria not met, moving on")
            return
        conf, run_id = order.payload, order.run_id
    made, is_new, _ = ask_for_run(task.trigger_dag_id, run_id, conf, task.logical_date, task.note,
                                  task.fail_when_dag_is_paused)
    if not is_new:
        if task.reset_dag_run:
            from .context import ask

            ask({"question": "clear_run", "dag_id": task.trigger_dag_id, "run_id": made})
        elif task.skip_when_already_exists:
            raise AirflowSkipException("Skipping because the run %s of %s exists" % (made, task.trigger_dag_id))
        else:
            raise DagRunAlreadyExists("a run of %s exists already: %s" % (task.trigger_dag_id, made))
    task.log.info("Triggered %s, run %s", task.trigger_dag_id, made)
    context["ti"].xcom_push(key="trigger_run_id", value=made)
    if task.wait_for_completion:
        wait(task, made)


def wait(task, run_id):
    from .context import ask

    allowed = [str(s) for s in task.allowed_states or ["success"]]
    failed = [str(s) for s in (["failed"] if task.failed_states is None else task.failed_states)]
    interval = task.poke_interval
    interval = 60 if interval is None else getattr(interval, "total_seconds", lambda: interval)()
    while True:
        time.sleep(interval)
        state = ask({"question": "get_run_state", "dag_id": task.trigger_dag_id, "run_id": run_id})
        if state in failed:
            raise AirflowException("%s failed with failed state %s" % (task.trigger_dag_id, state))
        if state in allowed:
            return
