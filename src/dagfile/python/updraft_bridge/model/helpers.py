"""`airflow.utils` in small: functions that authors import from its many modules."""

import datetime
import importlib
import itertools
import json
import os
import re
import socket
import subprocess
from tempfile import TemporaryDirectory  # noqa: F401  (exported)

from .edge import chain, cross_downstream  # noqa: F401  (exported)
from .exceptions import AirflowDagCycleException, AirflowException
from .operator import check_id


# -- airflow.utils.helpers

def validate_key(k, max_length=250):
    check_id("the key", k)


def alchemy_to_dict(row):
    return dict(row) if row is not None else None


def is_container(value):
    return hasattr(value, "__iter__") and not isinstance(value, str)


def as_tuple(value):
    return tuple(value) if is_container(value) else (value,)


def chunks(items, chunk_size):
    if chunk_size <= 0:
        raise ValueError("Chunk size must be a positive integer")
    for start in range(0, len(items), chunk_size):
        yield items[start:start + chunk_size]


def reduce_in_chunks(fn, iterable, initializer, chunk_size=0):
    import functools

    if not iterable:
        return initializer
    return functools.reduce(fn, chunks(iterable, chunk_size or len(iterable)), initializer)


def as_flattened_list(iterable):
    return [e for i in iterable for e in i]


def convert_camel_to_snake(text):
    return re.sub(r"(?!^)([A-Z]+)", r"_\1", text).lower()


def merge_dicts(first, second):
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge_dicts(merged[key], value) if both else value
    return merged


def partition(pred, iterable):
    left, right = itertools.tee(iterable)
    return itertools.filterfalse(pred, left), filter(pred, right)


def exactly_one(*args):
    return sum(bool(a) for a in args) == 1


def at_most_one(*args):
    return sum(bool(a) for a in args) <= 1


def prune_dict(val, mode="strict"):
    def dropped(value):
        return value is None if mode == "strict" else not value

    if isinstance(val, dict):
        pruned = {k: prune_dict(v, mode) if isinstance(v, (dict, list)) else v for k, v in val.items()}
        return {k: v for k, v in pruned.items() if not dropped(v)}
    if isinstance(val, list):
        pruned = [prune_dict(v, mode) if isinstance(v, (dict, list)) else v for v in val]
        return [v for v in pruned if not dropped(v)]
    return val


# -- airflow.utils.module_loading, .file, .net, .json, .process_utils

def import_string(dotted_path):
    module, _, name = dotted_path.rpartition(".")
    if not module:
        raise ImportError("%s doesn't look like a module path" % dotted_path)
    found = importlib.import_module(module)
    if not hasattr(found, name):
        raise ImportError("Module %r does not define a %r attribute/class" % (module, name))
    return getattr(found, name)


def qualname(thing):
    kind = thing if callable(thing) and hasattr(thing, "__qualname__") else type(thing)
    return "%s.%s" % (kind.__module__, kind.__qualname__)


def mkdirs(path, mode=0o777):
    os.makedirs(path, mode=mode, exist_ok=True)


def get_hostname():
    return socket.gethostname()


getfqdn = get_host_ip_address = get_hostname


class AirflowJsonEncoder(json.JSONEncoder):
    """Dates and sets besides what JSON knows."""

    def default(self, o):
        if isinstance(o, (datetime.datetime, datetime.date)):
            return o.isoformat()
        if isinstance(o, (set, frozenset)):
            return sorted(o, key=str)
        if isinstance(o, bytes):
            return o.decode("utf-8", "replace")
        return super().default(o)


WebEncoder = XComEncoder = AirflowJsonEncoder
XComDecoder = json.JSONDecoder


def execute_in_subprocess(cmd, cwd=None, env=None):
    """Runs a command; its output goes to the log."""
    print("Executing cmd: %s" % " ".join(map(str, cmd)), flush=True)
    with subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, env=env) as process:
        for line in process.stdout:
            print(line.decode("utf-8", "backslashreplace").rstrip(), flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, cmd)


# -- airflow.utils.dag_cycle_tester

def check_cycle(dag):
    from ..parse import find_cycle

    found = find_cycle(dag)
    if found:
        raise AirflowDagCycleException("Cycle detected in DAG. Faulty task: %s" % found[0].task_id)


test_cycle = check_cycle


# -- airflow.utils.operator_helpers

def context_to_airflow_vars(context, in_env_var_format=False):
    """The names of a run, as environment variables or as keys."""
    ti, run = context.get("ti") or context.get("task_instance"), context.get("dag_run")
    found = {}
    if ti is not None:
        found.update({"dag_id": ti.dag_id, "task_id": ti.task_id, "try_number": str(ti.try_number)})
    if run is not None:
        found["dag_run_id"] = run.run_id
        if run.logical_date is not None:
            found["execution_date"] = run.logical_date.isoformat()
    if context.get("task") is not None and context["task"].owner:
        found["dag_owner"] = context["task"].owner
    if in_env_var_format:
        return {"AIRFLOW_CTX_" + name.upper(): value for name, value in found.items()}
    return {"airflow.ctx." + name: value for name, value in found.items()}


def context_merge(context, *args, **kwargs):
    context.update(*args, **kwargs)


def render_template_to_string(template, context):
    raise AirflowException("templates of tasks are rendered by Updraft before they run; "
                           "to render one yourself, use the package jinja2")
