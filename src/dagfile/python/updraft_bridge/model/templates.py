"""`user_defined_macros` and `user_defined_filters` of a DAG: names that its templates know besides Airflow's.

Templates are rendered by the Rust side, which knows no Python function. Plain
values travel in front of the text that uses them; a task whose templates use a
function is rendered here, by the `jinja2` package, just before its work.
"""

import datetime
import json
import os
import re

from .exceptions import AirflowFailException
from .xcom_arg import XComArg

_WORD = re.compile(r"[A-Za-z_]\w*")


def names_in(value, found=None):
    """Every word inside the braces of every text, however deep."""
    found = set() if found is None else found
    if isinstance(value, str):
        for part in re.findall(r"\{[{%](.*?)[%}]\}", value, re.DOTALL):
            found.update(_WORD.findall(part))
    elif isinstance(value, dict):
        for one in value.values():
            names_in(one, found)
    elif isinstance(value, (list, tuple, set)):
        for one in value:
            names_in(one, found)
    return found


def plain_values(dag):
    """Those macros that are values, as the template language writes them."""
    values = {}
    for name, value in (getattr(dag, "user_defined_macros", None) or {}).items():
        written = literal_text(value)
        if written is not None and _WORD.fullmatch(str(name)):
            values[name] = written
    return values


def literal_text(value):
    if isinstance(value, (datetime.datetime, datetime.date)):
        return None
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None
    # JSON inside quotes stays as it is: only the bare words differ.
    return re.sub(r'"(?:[^"\\]|\\.)*"|null', lambda m: "none" if m.group() == "null" else m.group(), text)


def functions(dag):
    """The names of those that only Python can hold: all filters, and the macros that are no plain values."""
    plain = plain_values(dag)
    macros = getattr(dag, "user_defined_macros", None) or {}
    return {n for n in macros if n not in plain} | set(getattr(dag, "user_defined_filters", None) or {})


def needs_python(task, written):
    """Whether a text of the task uses a function of its DAG; then nobody but Python can render it."""
    own = functions(task.dag)
    return bool(own) and bool(own & names_in(written))


def with_values(dag, work):
    """The same work, each text with the values that it uses in front."""
    values = plain_values(dag)
    if not values:
        return work

    def walk(value):
        if isinstance(value, str):
            used = [name for name in values if name in names_in(value)]
            return "".join("{%% set %s = %s %%}" % (name, values[name]) for name in used) + value
        if isinstance(value, dict):
            return {k: walk(v) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v) for v in value]
        return value

    return walk(work)


def render_own(task, context):
    """Renders the templates of a task that uses functions of its DAG."""
    dag = getattr(task, "dag", None)
    if dag is None or not functions(dag):
        return
    args, kwargs = task.rendered_arguments()
    if not needs_python(task, [args, kwargs]):
        return
    environment = jinja_environment(dag)
    args, kwargs = render(environment, args, context), render(environment, kwargs, context)
    task.take_rendered(args, kwargs)


def jinja_environment(dag):
    try:
        import jinja2
    except ImportError:
        import sys

        raise AirflowFailException(
            "the templates of DAG `%s` use Python functions (user_defined_macros or user_defined_filters), which the "
            "package jinja2 renders: `%s -m pip install jinja2`" % (dag.dag_id, sys.executable)) from None
    folders = [os.path.dirname(dag.file or "")]
    given = dag.template_searchpath
    folders += [given] if isinstance(given, str) else list(given or [])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders), undefined=dag.template_undefined or jinja2.StrictUndefined,
        extensions=["jinja2.ext.do"], **(dag.jinja_environment_kwargs or {}))
    environment.filters.update(
        ds=lambda moment: moment.strftime("%Y-%m-%d"), ds_nodash=lambda moment: moment.strftime("%Y%m%d"),
        ts=lambda moment: moment.isoformat(), ts_nodash=lambda moment: moment.strftime("%Y%m%dT%H%M%S"),
        ts_nodash_with_tz=lambda moment: moment.isoformat().replace("-", "").replace(":", ""))
    environment.globals.update(dag.user_defined_macros or {})
    environment.filters.update(dag.user_defined_filters or {})
    return environment


def render(environment, value, context):
    if isinstance(value, XComArg) or not isinstance(value, (str, dict, list, tuple, set)):
        return value
    if isinstance(value, str):
        return environment.from_string(value).render(context)
    if isinstance(value, dict):
        return {k: render(environment, v, context) for k, v in value.items()}
    return type(value)(render(environment, v, context) for v in value)
