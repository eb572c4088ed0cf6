"""Classes that authors extend and that Updraft never calls: links, plugins, backends; and what triggers are made of."""

import asyncio
import datetime

from .dates import utcnow


class BaseOperatorLink:
    """A link beside a task in Airflow's pages. It is kept and not shown."""

    name = ""
    operators = []

    def get_link(self, operator, *args, **kwargs):
        return ""


class XComOperatorLink(BaseOperatorLink):
    def __init__(self, name, xcom_key):
        self.name, self.xcom_key = name, xcom_key


class AirflowPlugin:
    """A plugin of Airflow. What it registers is Airflow's: here it only loads."""

    name = None
    operators, hooks, executors, macros, admin_views, flask_blueprints, menu_links = [], [], [], [], [], [], []
    appbuilder_views, appbuilder_menu_items, sensors, timetables, listeners = [], [], [], [], []
    global_operator_extra_links, operator_extra_links, fastapi_apps, react_apps, external_views = [], [], [], [], []

    @classmethod
    def on_load(cls, *args, **kwargs):
        pass


class BaseSecretsBackend:
    """A place where secrets are kept. Updraft asks its own store, and the environment."""

    def __init__(self, **kwargs):
        pass

    def get_conn_value(self, conn_id):
        return None

    def get_variable(self, key):
        return None

    def get_config(self, key):
        return None


class Timeout(Exception):
    """A deferred task waited longer than it said."""


class TriggerEvent:
    """What a trigger found."""

    def __init__(self, payload, **kwargs):
        self.payload = payload

    def __eq__(self, other):
        return isinstance(other, TriggerEvent) and self.payload == other.payload

    def __hash__(self):
        return hash(str(self.payload))

    def __repr__(self):
        return "TriggerEvent<%r>" % (self.payload,)


class BaseTrigger:
    """What a deferred task waits for: `async def run(self)` yields a TriggerEvent."""

    def __init__(self, **kwargs):
        pass

    def serialize(self):
        raise NotImplementedError("%s has no `serialize` method" % type(self).__name__)

    async def run(self):
        raise NotImplementedError("%s has no `run` method" % type(self).__name__)
        yield TriggerEvent(None)

    async def cleanup(self):
        pass

    @property
    def log(self):
        import logging

        return logging.getLogger("airflow.triggers." + type(self).__name__)


class DateTimeTrigger(BaseTrigger):
    """Until a moment."""

    def __init__(self, moment, *, end_from_trigger=False):
        super().__init__()
        if not isinstance(moment, datetime.datetime) or moment.tzinfo is None:
            raise ValueError("expected DateTimeTrigger to have an aware datetime, got: %r" % (moment,))
        self.moment = moment

    def serialize(self):
        return "airflow.triggers.temporal.DateTimeTrigger", {"moment": self.moment}

    async def run(self):
        while True:
            left = (self.moment - utcnow()).total_seconds()
            if left <= 0:
                break
            await asyncio.sleep(min(left, 60))
        yield TriggerEvent(self.moment)


class TimeDeltaTrigger(DateTimeTrigger):
    """For a while."""

    def __init__(self, delta, *, end_from_trigger=False):
        super().__init__(utcnow() + delta)


class FileTrigger(BaseTrigger):
    """Until there is a file of this name or pattern."""

    def __init__(self, filepath, recursive=False, poke_interval=5.0, **kwargs):
        super().__init__()
        self.filepath, self.recursive, self.poke_interval = filepath, recursive, poke_interval

    def serialize(self):
        return "airflow.triggers.file.FileTrigger", {
            "filepath": self.filepath, "recursive": self.recursive, "poke_interval": self.poke_interval}

    async def run(self):
        import glob

        while not glob.glob(self.filepath, recursive=self.recursive):
            await asyncio.sleep(self.poke_interval)
        yield TriggerEvent(True)
