"""`dag.test()` and `dag.cli()` of a file that is run as a program: the `updraft` command does the work.

Only such a program may start it; a file that is loaded to be described, or to run a task, may not.
"""

import json
import os
import shutil
import subprocess
import sys

from . import store_values
from .exceptions import AirflowException

# What stands behind the name of the DAG, for commands of one DAG.
OF_A_DAG = {
    "dags": {"backfill", "clear", "delete", "details", "explain", "list-runs", "next-execution", "pause", "show",
             "state", "test", "trigger", "unpause"},
    "tasks": {"clear", "explain", "failed-deps", "list", "logs", "render", "run", "state", "states-for-dag-run", "test"},
}


def program():
    """The `updraft` to ask."""
    from .. import imports

    if store_values._channel is not None or imports.loading:
        raise AirflowException("dag.test() and dag.cli() work only in a file that is run as a program: "
                               "guard the call with `if __name__ == \"__main__\":`")
    found = os.environ.get("UPDRAFT_PROGRAM") or shutil.which("updraft")
    if found is None:
        raise AirflowException("the program `updraft` is not on PATH; name it in the environment variable UPDRAFT_PROGRAM")
    return found


def run(words):
    sys.stdout.flush()
    return subprocess.call([program(), *words])


def test(dag, date, conf):
    words = ["dags", "test", dag.dag_id]
    if date is not None:
        words.append(date.isoformat() if hasattr(date, "isoformat") else str(date))
    if conf:
        words += ["--conf", json.dumps(conf)]
    code = run(words)
    if code:
        raise AirflowException("the run of DAG `%s` failed: `updraft %s` ended with code %d" % (dag.dag_id, " ".join(words), code))


def cli(dag):
    sys.exit(run(with_dag(dag.dag_id, sys.argv[1:])))


def with_dag(dag_id, words):
    """The words of a command with the DAG's id where the command wants it."""
    group, command = (list(words) + ["", ""])[:2]
    if command in OF_A_DAG.get(group, ()) and dag_id not in words[2:]:
        return [group, command, dag_id, *words[2:]]
    return list(words)
