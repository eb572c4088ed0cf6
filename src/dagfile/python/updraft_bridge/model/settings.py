"""`airflow.settings`: the few of its values that DAG files read, and sessions that refuse to be asked."""

import os

from .configuration import conf  # noqa: F401  (exported)
from .database import Session  # noqa: F401  (exported)
from .dates import pendulum_module

TIMEZONE = pendulum_module().timezone("UTC")
AIRFLOW_HOME = os.environ.get("AIRFLOW_HOME") or os.environ.get("UPDRAFT_HOME") or os.path.expanduser("~/airflow")
DAGS_FOLDER = conf.get("core", "dags_folder")
PLUGINS_FOLDER = os.path.join(AIRFLOW_HOME, "plugins")
STATE_COLORS = {
    "deferred": "mediumpurple", "failed": "red", "queued": "gray", "removed": "lightgrey", "restarting": "violet",
    "running": "lime", "scheduled": "tan", "skipped": "hotpink", "success": "green", "up_for_reschedule": "turquoise",
    "up_for_retry": "gold", "upstream_failed": "orange",
}
# There is no engine, as there is no database to reach.
engine = None
SQL_ALCHEMY_CONN = None


def configure_orm(*args, **kwargs):
    return None


def initialize(*args, **kwargs):
    return None
