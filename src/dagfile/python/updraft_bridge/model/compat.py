"""Small names of Airflow's that authors import and that need no machinery."""

import configparser
import functools
import logging
import os
from functools import cached_property  # noqa: F401  (exported)

# The version of Airflow whose names are spoken here, for files that ask.
version = "3.3.2"


def apply_defaults(function):
    """Airflow 1.10's decorator; `default_args` are applied without it."""
    return function


def provide_session(function):
    """There is no session with the database here; a function that needs one gets None."""

    @functools.wraps(function)
    def without(*args, **kwargs):
        kwargs.setdefault("session", None)
        return function(*args, **kwargs)

    return without


class LoggingMixin:
    @property
    def log(self):
        return logging.getLogger("%s.%s" % (type(self).__module__, type(self).__name__))


class _Configuration:
    """`conf`: what the environment says (`AIRFLOW__SECTION__KEY`), else the fallback."""

    def get(self, section, key, fallback=None, **kwargs):
        for prefix in ("UPDRAFT", "AIRFLOW"):
            value = os.environ.get("%s__%s__%s" % (prefix, section.upper().replace(".", "_"), key.upper()))
            if value is not None:
                return value
        return fallback

    def getboolean(self, section, key, fallback=False, **kwargs):
        value = self.get(section, key, fallback)
        return configparser.ConfigParser.BOOLEAN_STATES.get(str(value).lower(), bool(value))

    def getint(self, section, key, fallback=None, **kwargs):
        value = self.get(section, key, fallback)
        return None if value is None else int(value)

    def getfloat(self, section, key, fallback=None, **kwargs):
        value = self.get(section, key, fallback)
        return None if value is None else float(value)

    def has_option(self, section, key):
        return self.get(section, key) is not None


conf = _Configuration()
