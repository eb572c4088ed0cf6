"""Small names of Airflow's that authors import and that need no machinery."""

import functools
import logging
import sys
from functools import cached_property  # noqa: F401  (exported)

from .configuration import conf  # noqa: F401  (exported)

# The version of Airflow whose names are spoken here, for files that ask.
version = "3.3.2"
PY36 = PY37 = PY38 = PY39 = True
PY310, PY311, PY312 = (sys.version_info >= (3, minor) for minor in (10, 11, 12))

cache = functools.lru_cache(maxsize=None)


def apply_defaults(function):
    """Airflow 1.10's decorator; `default_args` are applied without it."""
    return function


class LoggingMixin:
    @property
    def log(self):
        return logging.getLogger("%s.%s" % (type(self).__module__, type(self).__name__))

    logger = log


class StreamLogWriter:
    """A text stream whose lines become lines of the log."""

    encoding = None

    def __init__(self, logger, level):
        self.logger, self.level = logger, level

    def write(self, message):
        for line in message.splitlines():
            if line:
                self.logger.log(self.level, line)

    def flush(self):
        pass

    def isatty(self):
        return False


def mask_secret(secret, name=None):
    """Secrets of connections and variables are masked by Updraft's worker without being told."""


def redact(value, name=None, max_depth=None):
    return value


class Stats:
    """Counts nothing: Updraft has metrics of its own."""

    incr = decr = gauge = timing = staticmethod(lambda *args, **kwargs: None)

    @staticmethod
    def timer(*args, **kwargs):
        import contextlib

        return contextlib.nullcontext()


def hookimpl(function=None, **kwargs):
    """Marks a listener of a plugin, which nobody calls here."""
    return function if function is not None else hookimpl


class Executor:
    """One of Airflow's executors, as 1.10 gave them to a SubDagOperator: Updraft's own runs everything."""

    def __init__(self, *args, **kwargs):
        pass


SequentialExecutor = LocalExecutor = CeleryExecutor = DebugExecutor = KubernetesExecutor = DaskExecutor = Executor


def get_default_executor():
    return Executor()
