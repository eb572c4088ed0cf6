"""Airflow's own database: its models and sessions load, and say on use what to do instead.

Tasks of Updraft have no way to the scheduler's database, so nothing here ever
holds a row. A class attribute (`DagRun.execution_date`) is a `Column`, because
DAG files put such attributes into tables of their own at the top level.
"""

import contextlib
import functools

from .exceptions import AirflowFailException

# What serves instead, by the name of the model.
INSTEAD = {
    "DagRun": "context[\"dag_run\"] is the task's own run; `updraft dags list-runs` shows the others, and "
              "TriggerDagRunOperator makes one",
    "TaskInstance": "context[\"ti\"] is the task's own; `updraft tasks states-for-dag-run` shows those of a run",
    "DagModel": "`updraft dags list`, `updraft dags details`, `updraft dags pause`",
    "DagBag": "`updraft dags list` and `updraft dags list-import-errors`",
    "DagTag": "`updraft dags list`",
    "XCom": "ti.xcom_pull() and ti.xcom_push()",
    "BaseXCom": "ti.xcom_pull() and ti.xcom_push()",
    "Pool": "`updraft pools list` and `updraft pools set`",
    "Job": "`updraft jobs check`",
    "BaseJob": "`updraft jobs check`",
    "Log": "`updraft db clean` throws old rows away",
    "ImportError": "`updraft dags list-import-errors`",
    "Session": "Variable, Connection, context[\"ti\"] and context[\"dag_run\"] for what a task needs, and "
               "`updraft db clean` to throw old rows away",
}
OTHERS = "`updraft db clean` throws old rows away, and the commands of `updraft` show the rest"


class NoDatabase(AirflowFailException):
    """Something asked for a row of Airflow's database. Trying again cannot help."""

    __module__ = "airflow.exceptions"


def refusal(name, what):
    return NoDatabase("%s is not possible: tasks of Updraft have no way to the scheduler's database. Use instead: %s"
                      % (what, INSTEAD.get(name, OTHERS)))


class Column:
    """An attribute of a model: it can be named, and neither asked nor called."""

    def __init__(self, model, name):
        self.model, self.name = model, name

    def _refuse(self, *args, **kwargs):
        raise refusal(self.model, "%s.%s" % (self.model, self.name))

    __call__ = __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __iter__ = _refuse

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Column(self.model, "%s.%s" % (self.name, name))

    def __repr__(self):
        return "%s.%s" % (self.model, self.name)


class ModelType(type):
    """Answers for the columns and queries that a class of ours does not have."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Column(cls.__name__, name)


class Model(metaclass=ModelType):
    """A table of Airflow's. An object of it cannot be made."""

    def __init__(self, *args, **kwargs):
        raise refusal(type(self).__name__, "%s()" % type(self).__name__)


def _models(*names):
    return {name: type(Model)(name, (Model,), {"__module__": "airflow.models"}) for name in names}


globals().update(_models(
    "DagModel", "DagTag", "DagBag", "DagCode", "DagPickle", "DagWarning", "SerializedDagModel", "Log", "TaskReschedule",
    "TaskFail", "TaskMap", "SlaMiss", "Job", "BaseJob", "RenderedTaskInstanceFields", "ImportError", "ParseImportError",
    "Pool", "Trigger", "KubeResourceVersion", "Chart", "User", "DagScheduleDatasetReference",
    "DatasetModel", "DatasetEventModel", "DatasetDagRunQueue", "AssetModel", "TaskOutletDatasetReference", "Base",
))


class BaseXCom(Model):
    """The values that tasks leave for each other: while a task runs, they can be read and its own be set."""

    XCOM_RETURN_KEY = "return_value"

    @classmethod
    def get_one(cls, *, key="return_value", task_id=None, dag_id=None, run_id=None, map_index=None, include_prior_dates=False,
                execution_date=None, **kwargs):
        if execution_date is not None and run_id is None:
            raise refusal("XCom", "XCom.get_one(execution_date=...), which names no run,")
        ti = _current_ti()
        index = None if map_index is None or map_index < 0 else map_index
        return ti.xcom_pull(task_ids=task_id, dag_id=dag_id, key=key, run_id=run_id, map_indexes=index,
                            include_prior_dates=include_prior_dates)

    @classmethod
    def get_value(cls, *, ti_key, key="return_value", **kwargs):
        return cls.get_one(key=key, task_id=ti_key.task_id, dag_id=ti_key.dag_id, run_id=ti_key.run_id,
                           map_index=ti_key.map_index)

    @classmethod
    def set(cls, key, value, *args, task_id=None, **kwargs):
        ti = _current_ti()
        if task_id not in (None, ti.task_id):
            raise refusal("XCom", "setting an XCom of another task")
        ti.xcom_push(key=key, value=value)


class XCom(BaseXCom):
    pass


def _current_ti():
    from .context import get_current_context

    return get_current_context()["ti"]


class Session:
    """A session that can be opened and closed, and asked nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("close", "commit", "rollback", "flush", "expunge_all", "remove"):
            # So that the `finally` of a function does not hide what went wrong in it.
            return lambda *args, **kwargs: None
        raise refusal("Session", "session.%s" % name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


NEW_SESSION = None


@contextlib.contextmanager
def create_session(*args, **kwargs):
    yield Session()


def provide_session(function):
    """The function gets a session, which refuses whatever it is asked."""

    @functools.wraps(function)
    def with_session(*args, **kwargs):
        if kwargs.get("session") is None:
            kwargs["session"] = Session()
        return function(*args, **kwargs)

    return with_session


def _refusing(name):
    def function(*args, **kwargs):
        raise refusal("Session", "%s()" % name)

    function.__name__ = name
    return function


get_task_instance = _refusing("get_task_instance")
clear_task_instances = _refusing("clear_task_instances")
get_last_dagrun = _refusing("get_last_dagrun")
