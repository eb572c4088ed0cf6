"""Running one attempt: find the work, call it, say how it ended.

The messages are those of `protocol/task_channel.rs`. A process that ends
without `finish` has crashed; the worker then judges by its exit code.
"""

import datetime
import json
import linecache
import logging
import sys

from . import finder, imports, notes, problem, spec, task_log
from .model import callbacks, context as contexts, dates, perform, store_values
from .model.exceptions import (
    AirflowException, AirflowFailException, AirflowRescheduleException, AirflowSensorTimeout,
    AirflowSkipException,
)

RETURN_VALUE = "return_value"

# What a task may return.
RETURNS = "text, numbers, booleans, lists or dicts with text as keys"


def run(start, channel):
    task_log.set_up()
    store_values.use_channel(channel)
    finder.install()
    imports.use_folder(start["dags_folder"])
    try:
        if start.get("callback"):
            run_callback(start, channel)
        else:
            attempt(start, channel)
        # What cannot be said of an asset fails the task.
        outlets = contexts.outlet_report()
    except BaseException as error:  # noqa: B902  (SystemExit is an outcome, too)
        outcome = judge(error, "Callback" if start.get("callback") else "Task")
    else:
        outcome = {"state": "success"}
        if outlets:
            outcome["outlet_events"] = outlets
    flush()
    channel.send(dict(outcome, type="finish"))
    return 0 if outcome["state"] in ("success", "skipped", "rescheduled") else 1


def attempt(start, channel):
    code = start["code"]
    args, kwargs = start.get("args") or [], start.get("kwargs") or {}
    if code["from"] == "dag_file":
        return attempt_of_task(start, channel, find_task(start, code), args, kwargs)
    context = contexts.build(start, None, None, channel)
    contexts.enter(context)
    if code["from"] == "function":
        from .model.operators import call

        value = call(find_function(code), args, kwargs, context)
    elif code["from"] == "inline":
        value = run_source(code["source"], start, args, kwargs, context)
    else:
        raise AirflowFailException("expected code from a dag_file, a function or inline, got: %r" % code["from"])
    if start.get("decides"):
        decide(channel, start["decides"], value)
    push(channel, start, value, False)
    return value


def decide(channel, decides, value):
    """What the result of code in a YAML file means for the tasks after it."""
    from .model import branching

    if decides["by"] == "branch":
        decision = {"branch": branching.checked_ids(value, None)}
    elif value:
        return
    else:
        decision = {"short_circuit": "all" if decides["ignore_downstream_trigger_rules"] else "direct"}
    channel.ask({"type": "set_xcom", "key": branching.SKIP_KEY, "value": decision})


def attempt_of_task(start, channel, task, args, kwargs):
    from .model.exceptions import ComesLater

    if task.comes_later:
        why = getattr(task, "why", None) or "%s comes with a later version of Updraft" % task.comes_later
        raise ComesLater("task `%s` (line %s of %s) cannot run: %s" % (task.task_id, task.line, task.file, why))
    context = contexts.build(start, task, task.dag, channel)
    contexts.enter(context)
    own_args, own_kwargs = task.rendered_arguments()
    if args or kwargs:
        task.take_rendered(spec.merge_rendered(list(own_args), args), spec.merge_rendered(own_kwargs, kwargs))
    task = of_map_index(start, task, context)
    callbacks.run_all(task.on_execute_callback, context)
    task.pre_execute(context)
    value = perform.perform(task, context)
    task.post_execute(context, value)
    push(channel, start, value, task.multiple_outputs, task.do_xcom_push)
    return value


def of_map_index(start, task, context):
    """A mapped task as the one of this map index; what other tasks left takes its place in the arguments."""
    from .model.mapped import MappedOperator
    from .model.operators import PythonOperator
    from .model.xcom_arg import resolve

    if isinstance(task, MappedOperator):
        pieces = (start.get("mapped") or {}).get("pieces")
        if pieces is None:
            raise AirflowException("task `%s` is mapped and runs without the values of a map index" % task.task_id)
        task = task.unmap(task.expansion.resolve(pieces, context))
        context["task"] = context["ti"].task = task
    if not isinstance(task, PythonOperator):
        for field in task._argument_fields():
            if hasattr(task, field):
                setattr(task, field, resolve(getattr(task, field), context))
    return task
def run_callback(start, channel):
    """Something has happened: the function that waits for it is called, and nothing is kept of what it returns."""
    code, said, kwargs = start["code"], start["callback"], start.get("kwargs") or {}
    dag = task = None
    if code["from"] == "dag_file":
        dag = find_dag(start, code)
        task = dag.task_dict.get(start["task_id"])
        function, own = callbacks.find(dag, start["task_id"], said)
        kwargs = spec.merge_rendered(own, kwargs) if own else kwargs
        if isinstance(function, str):
            module, _, name = function.rpartition(".")
            function = find_function({"module": module, "function": name})
    else:
        function = find_function(code)
    context = contexts.build(start, task, dag, channel)
    contexts.tell(context, said)
    contexts.enter(context)
    callbacks.call(function, context, kwargs)


def find_task(start, code):
    return find_dag(start, code).get_task(start["task_id"])


def find_dag(start, code):
    """The DAG object, by importing its file again."""
    import os

    path = os.path.join(start["dags_folder"], code["file"])
    module = imports.load(path)
    from .model import dag as dags

    known = {}
    for value in [*vars(module).values(), *dags.used]:
        if isinstance(value, dags.DAG):
            known.setdefault(value.dag_id, value)
    dag = known.get(start["dag_id"])
    if dag is None:
        meant = notes.did_you_mean(start["dag_id"], known)
        raise AirflowException("%s has no DAG `%s` any more%s" % (code["file"], start["dag_id"], "; " + meant if meant else ""))
    return dag


def find_function(code):
    import importlib

    module = importlib.import_module(code["module"])
    thing = module
    for part in code["function"].split("."):
        if not hasattr(thing, part):
            meant = notes.did_you_mean(part, [n for n in dir(thing) if not n.startswith("_")])
            raise AirflowFailException(
                "module `%s` has no function `%s`%s" % (code["module"], code["function"], "; " + meant if meant else "")
            )
        thing = getattr(thing, part)
    if not callable(thing):
        raise AirflowFailException("expected %s:%s to be a function, got: %s"
                                   % (code["module"], code["function"], type(thing).__name__))
    # `@task` functions are called plainly here.
    return getattr(thing, "function", thing) if type(thing).__name__ == "TaskFunction" else thing


def run_source(source, start, args, kwargs, context):
    """Statements of a YAML file. They see the context and the arguments as names; `result` is their value."""
    name = "<%s.%s>" % (start["dag_id"], start["task_id"])
    # So that a traceback shows the author's lines.
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    names = {"__name__": "__updraft_task__", "__builtins__": __builtins__}
    names.update((k, v) for k, v in context.items() if k not in ("result",))
    names.update(kwargs)
    names.update(args=args, kwargs=kwargs, context=context)
    exec(compile(source, name, "exec"), names)
    return names.get("result")


def push(channel, start, value, multiple_outputs, wanted=True):
    """Keeps the result as XComs; an attempt whose result cannot be kept has failed."""
    if not wanted or value is None:
        return
    if multiple_outputs:
        if not isinstance(value, dict):
            raise AirflowException("expected a dict from a task with multiple_outputs, got: %s" % type(value).__name__)
        for key in value:
            if not isinstance(key, str):
                raise AirflowException("expected the keys of multiple_outputs to be of type str, got: %r" % (key,))
    check_json(value, "the value that task `%s` returned" % start["task_id"])
    if multiple_outputs:
        for key, part in value.items():
            channel.ask({"type": "set_xcom", "key": key, "value": part})
    channel.ask({"type": "set_xcom", "key": RETURN_VALUE, "value": value})


def check_json(value, what):
    """Says which part is not JSON, and of what type it is."""
    found = not_json(value, "")
    if found:
        where, kind = found
        raise AirflowException(
            "expected %s to be JSON, got: %s%s; return %s" % (what, kind, " at %s" % where if where else "", RETURNS)
        )


def not_json(value, where, depth=0):
    if value is None or isinstance(value, (bool, int, str)):
        return None
    if isinstance(value, float):
        return None if value == value and abs(value) != float("inf") else (where, repr(value))
    if depth > 200:
        return where[:60] + "...", "something nested too deep, or containing itself"
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                return where or "its keys", "a dict with the key %r of type %s" % (key, type(key).__name__)
            found = not_json(part, "%s[%s]" % (where, json.dumps(key)), depth + 1)
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for n, part in enumerate(value):
            found = not_json(part, "%s[%d]" % (where, n), depth + 1)
            if found:
                return found
        return None
    return where, type(value).__name__


def judge(error, what="Task"):
    """The outcome that an exception means; what went wrong goes to the log."""
    message = "%s: %s" % (type(error).__name__, error) if str(error) else type(error).__name__
    if isinstance(error, AirflowSkipException):
        logging.getLogger("airflow.task").info("Skipping: %s", error)
        return {"state": "skipped", "message": str(error)}
    if isinstance(error, AirflowRescheduleException):
        at = dates.instant(error.reschedule_date) if isinstance(error.reschedule_date, str) else error.reschedule_date
        if at.tzinfo is None:
            at = at.replace(tzinfo=datetime.timezone.utc)
        logging.getLogger("airflow.task").info("Rescheduling task, marking task as UP_FOR_RESCHEDULE")
        return {"state": "rescheduled", "awaited": {"on": "look", "at": at.isoformat()}}
    print_traceback(error, what)
    if isinstance(error, (AirflowFailException, AirflowSensorTimeout)):
        return {"state": "failed", "retryable": False, "message": message}
    return {"state": "failed", "retryable": True, "message": message}


def print_traceback(error, what):
    """To the log, without our own frames."""
    text = problem.text_of(error, error.__traceback__)
    logging.getLogger("airflow.task").error("%s failed with exception\n%s", what, text)


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
