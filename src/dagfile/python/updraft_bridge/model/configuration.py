"""`airflow.configuration`: what the environment says (`AIRFLOW__SECTION__KEY`), else Airflow's own default, else the fallback.

Updraft's configuration itself is not here: a DAG file is loaded on machines that have none.
"""

import configparser
import os

from .. import imports, notes

NOT_GIVEN = object()

# What files ask for without a fallback, as Airflow is installed.
DEFAULTS = {
    ("core", "default_timezone"): "utc",
    ("core", "executor"): "LocalExecutor",
    ("core", "parallelism"): "32",
    ("core", "max_active_tasks_per_dag"): "16",
    ("core", "dag_concurrency"): "16",
    ("core", "max_active_runs_per_dag"): "16",
    ("core", "load_examples"): "False",
    ("core", "default_task_retries"): "0",
    ("core", "unit_test_mode"): "False",
    ("core", "donot_pickle"): "True",
    ("core", "killed_task_cleanup_time"): "60",
    ("email", "email_backend"): "airflow.utils.email.send_email_smtp",
    ("email", "default_email_on_failure"): "True",
    ("email", "default_email_on_retry"): "True",
    ("operators", "default_owner"): "airflow",
    ("operators", "default_queue"): "default",
    ("celery", "default_queue"): "default",
    ("logging", "logging_level"): "INFO",
    ("logging", "remote_logging"): "False",
    ("scheduler", "catchup_by_default"): "False",
    ("webserver", "base_url"): "http://localhost:8080",
    ("api", "base_url"): "http://localhost:8080",
    ("smtp", "smtp_host"): "localhost",
    ("smtp", "smtp_port"): "25",
    ("smtp", "smtp_starttls"): "True",
    ("smtp", "smtp_ssl"): "False",
    ("smtp", "smtp_mail_from"): "airflow@example.com",
}


def home():
    return os.environ.get("AIRFLOW_HOME") or os.environ.get("UPDRAFT_HOME") or os.path.expanduser("~/airflow")


class AirflowConfigParser:
    """`conf`, as files read it."""

    def get(self, section, key, fallback=NOT_GIVEN, **kwargs):
        section, key = section.lower(), key.lower()
        for prefix in ("UPDRAFT", "AIRFLOW"):
            value = os.environ.get("%s__%s__%s" % (prefix, section.upper().replace(".", "_"), key.upper()))
            if value is not None:
                return value
        if fallback is not NOT_GIVEN:
            return fallback
        if (section, key) == ("core", "dags_folder"):
            return imports.dags_folder or os.path.join(home(), "dags")
        if (section, key) in (("core", "airflow_home"), ("core", "plugins_folder"), ("logging", "base_log_folder"),
                              ("core", "base_log_folder")):
            part = {"airflow_home": "", "plugins_folder": "plugins", "base_log_folder": "logs"}[key]
            return os.path.join(home(), part).rstrip(os.sep)
        if (section, key) in DEFAULTS:
            return DEFAULTS[section, key]
        notes.warn("conf.get(%r, %r) gives None: this configuration is not in the environment" % (section, key),
                   "set AIRFLOW__%s__%s, or give a fallback" % (section.upper(), key.upper()))
        return None

    def getboolean(self, section, key, fallback=False, **kwargs):
        value = self.get(section, key, DEFAULTS.get((section, key), fallback))
        return configparser.ConfigParser.BOOLEAN_STATES.get(str(value).lower(), bool(value))

    def getint(self, section, key, fallback=NOT_GIVEN, **kwargs):
        value = self.get(section, key, fallback)
        return None if value is None else int(value)

    def getfloat(self, section, key, fallback=NOT_GIVEN, **kwargs):
        value = self.get(section, key, fallback)
        return None if value is None else float(value)

    def getlist(self, section, key, fallback=NOT_GIVEN, delimiter=",", **kwargs):
        value = self.get(section, key, fallback)
        return value if value is None or isinstance(value, list) else [p.strip() for p in str(value).split(delimiter)]

    def getsection(self, section):
        start = "AIRFLOW__%s__" % section.upper()
        found = {key: value for (known, key), value in DEFAULTS.items() if known == section.lower()}
        found.update({k[len(start):].lower(): v for k, v in os.environ.items() if k.startswith(start)})
        return found or None

    def has_option(self, section, key):
        return self.get(section, key, None) is not None or (section.lower(), key.lower()) in DEFAULTS

    def has_section(self, section):
        return self.getsection(section) is not None


conf = AirflowConfigParser()
AIRFLOW_HOME = home()
get, getboolean, getint, getfloat = conf.get, conf.getboolean, conf.getint, conf.getfloat
has_option, getsection = conf.has_option, conf.getsection


def get_airflow_home():
    return home()
