"""For which DAG and task a file is loaded, so that a file that makes many DAGs need make only one of them."""

import collections
import os

from .. import imports

AirflowParsingContext = collections.namedtuple("AirflowParsingContext", "dag_id task_id")


def get_parsing_context():
    """While a file is described, nothing: then every DAG is wanted. In the process of a task, that task."""
    if imports.describing:
        return AirflowParsingContext(None, None)
    return AirflowParsingContext(os.environ.get("AIRFLOW_CTX_DAG_ID"), os.environ.get("AIRFLOW_CTX_TASK_ID"))
