"""One task by Airflow's own task runner: the process that `worker/sdk` supervises.

File descriptor 0 is the runner's channel, 1 and 2 are the task's log. The
runner is Airflow's and untouched; here it only gets its surroundings. Nothing
of the stand-in package is used.
"""

import os
import sys

from .leave import leave


def surroundings():
    """Settings that Airflow reads while it is imported; those of the author's environment go first."""
    if not os.environ.get("AIRFLOW_HOME"):
        # Beside the folder of this package; Airflow makes an empty folder of logs in it.
        os.environ["AIRFLOW_HOME"] = os.path.join(os.path.dirname(os.path.abspath(sys.argv[1])), "airflow")
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "client")
    os.environ.setdefault("NO_COLOR", "1")
    # Where a task runs, and where the warm interpreter stands.
    os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", os.getcwd())
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    # The log is Updraft's: one line format, without the runner's own banner.
    os.environ.setdefault("AIRFLOW__LOGGING__COLORED_CONSOLE_LOG", "False")
    os.environ.setdefault(
        "AIRFLOW__LOGGING__LOG_FORMAT", "[%(asctime)s] {%(filename)s:%(lineno)d} %(levelname)s - %(message)s")
    sys.path[:] = [p for p in sys.path if p]


def load():
    """Imports what every task needs; seconds, once."""
    missing = None
    for name in (
        "airflow.sdk.execution_time.task_runner", "airflow.sdk.execution_time.supervisor", "airflow.dag_processing.dagbag",
        "airflow.sdk.log", "jinja2.ext",
    ):
        try:
            __import__(name)
        except ImportError as error:
            missing = missing or error
    for name in ("airflow.providers.standard.operators.python", "airflow.providers.standard.operators.bash"):
        try:
            __import__(name)
        except ImportError:
            # A provider that is not installed is missed by the DAG file that names it.
            pass
    if missing is not None:
        sys.exit("updraft: this interpreter has no task runner of Airflow that Updraft knows (%s): install "
                 "apache-airflow-task-sdk and apache-airflow-core of the same release, or set [python] runner = builtin"
                 % missing)


def run():
    """Runs the one task whose channel is file descriptor 0. Does not return."""
    from airflow.sdk.execution_time import task_runner

    # Airflow mails by a configuration of its own; Updraft does, by its own.
    task_runner._send_error_email_notification = lambda *args, **kwargs: None
    log_to_stdout()
    block_database()
    code = 0
    try:
        attempt(task_runner.main)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    leave(code)


def attempt(runner):
    """The task, and again as often as it defers itself."""
    from .sdk_trigger import Wire, wait

    # The runner closes its channel when it is done.
    wire = Wire(os.dup(0))
    while True:
        runner()
        deferral = wire.ask({"type": "Updraft.Next"})
        if deferral is None:
            return
        following = wait(wire, deferral)
        if following is None:
            return
        wire.say(following)
        os.dup2(wire.fd, 0)


def log_to_stdout():
    """Lines leave as they are written, as text."""
    from airflow.sdk.log import configure_logging, reset_logging

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    reset_logging()
    configure_logging(json_output=False, output=sys.stdout, colored_console_log=False)


def block_database():
    """A task has no database; Airflow says so best where it can."""
    from airflow.sdk.execution_time import supervisor

    block = getattr(supervisor, "block_orm_access", None)
    if block is not None:
        block()


def main():
    surroundings()
    if sys.argv[3:] == ["warm"]:
        from .warm import serve

        # It comes back in the process of each task.
        serve(load)
    else:
        load()
    run()
