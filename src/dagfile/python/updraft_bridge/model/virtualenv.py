"""Functions that run in another interpreter: `@task.virtualenv`, `@task.external_python`, and their operators.

The other interpreter knows nothing of the DAG file. It gets the function's
source and its arguments, and gives back a JSON value. What it prints goes
to the task's log, and so does its traceback, with the lines of the DAG file.
"""

import base64
import inspect
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import textwrap

from .branching import BranchMixIn
from .exceptions import AirflowException, AirflowFailException, AirflowSkipException
from .operators import PythonOperator
from .taskflow import DecoratedOperator
from .xcom_arg import resolve

# Values of the context that are JSON, for functions that ask for them by name.
PLAIN_CONTEXT = (
    "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "yesterday_ds", "yesterday_ds_nodash", "tomorrow_ds",
    "tomorrow_ds_nodash", "next_ds", "next_ds_nodash", "prev_ds", "prev_ds_nodash", "run_id", "map_index", "params",
    "task_instance_key_str", "test_mode", "templates_dict", "expanded_ti_count",
)

# Of the context, but neither JSON nor to be had outside this process.
ONLY_HERE = ("ti", "task_instance", "dag", "dag_run", "task", "var", "conn", "macros", "conf", "inlets", "outlets")

# Among the arguments of the function: no parameter can have such a name.
OWN_FIELDS = "of the operator"

OUTCOMES = {"AirflowSkipException": AirflowSkipException, "AirflowFailException": AirflowFailException}


class _ElsewhereOperator(PythonOperator):
    """Calls the function in the interpreter that a subclass names."""

    def __init__(self, *, serializer=None, use_dill=False, use_cloudpickle=False, string_args=None, expect_airflow=True,
                 expect_pendulum=False, skip_on_exit_code=None, env_vars=None, inherit_env=True, **kwargs):
        super().__init__(**kwargs)
        if inspect.ismethod(self.python_callable) or self.python_callable.__name__ == "<lambda>":
            raise AirflowException(
                "expected python_callable of %s `%s` to be a function with a name, since its source runs elsewhere; got: %r"
                % (type(self).__name__, self.task_id, self.python_callable)
            )
        self.serializer = serializer or ("dill" if use_dill else "cloudpickle" if use_cloudpickle else "pickle")
        self.string_args = list(string_args or [])
        self.skip_on_exit_code = [] if skip_on_exit_code is None else (
            [skip_on_exit_code] if isinstance(skip_on_exit_code, int) else list(skip_on_exit_code))
        self.env_vars, self.inherit_env = env_vars, inherit_env

    def interpreter(self):
        raise NotImplementedError

    def _own_fields(self):
        """The templates besides those of any function."""
        return [field for field in self.template_fields if field not in PythonOperator.template_fields]

    def rendered_arguments(self):
        args, kwargs = super().rendered_arguments()
        own = {field: getattr(self, field) for field in self._own_fields()}
        if "{{" in str(own) or "{%" in str(own):
            kwargs[OWN_FIELDS] = own
        return args, kwargs

    def take_rendered(self, args, kwargs):
        kwargs = dict(kwargs)
        for field, value in kwargs.pop(OWN_FIELDS, {}).items():
            setattr(self, field, value)
        super().take_rendered(args, kwargs)

    def execute(self, context):
        return self.call_elsewhere(context)

    def call_elsewhere(self, context):
        if self.templates_dict:
            context["templates_dict"] = self.templates_dict
        args = [resolve(a, context) for a in self.op_args]
        kwargs = {k: resolve(v, context) for k, v in dict(self.op_kwargs).items()}
        kwargs = dict(self._of_context(context, args, kwargs), **kwargs)
        value = self._run(self.interpreter(), self._request(args, kwargs))
        if self.show_return_value_in_logs:
            self.log.info("Done. Returned value was: %s", value)
        return value

    def _of_context(self, context, args, kwargs):
        """The values that the function asks for by the names of its parameters."""
        given, parameters = {}, inspect.signature(self.python_callable).parameters
        for place, (name, parameter) in enumerate(parameters.items()):
            if place < len(args) or name in kwargs or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if name in PLAIN_CONTEXT and name in context:
                value = context[name]
                given[name] = value.dump() if hasattr(value, "dump") else value
            elif name in ONLY_HERE and parameter.default is parameter.empty:
                raise AirflowException(
                    "`%s` asks for `%s` of the context, which is not to be had in another interpreter; "
                    "hand it the values that it needs as arguments" % (self.python_callable.__name__, name)
                )
        return given

    def _request(self, args, kwargs):
        code = self.python_callable.__code__
        request = {
            "source": source_of(self.python_callable), "file": code.co_filename, "name": self.python_callable.__name__,
            "line": first_line(self.python_callable), "string_args": [str(a) for a in self.string_args],
            "bridge": os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
        }
        try:
            # As JSON only what comes out as it went in.
            if json.loads(json.dumps([args, kwargs])) != [list(args), kwargs]:
                raise ValueError
            request["arguments"] = [args, kwargs]
        except (TypeError, ValueError):
            try:
                request["pickled"] = base64.b64encode(pickle.dumps((args, kwargs), protocol=2)).decode("ascii")
            except Exception as error:
                raise AirflowException(
                    "the arguments of `%s` can be handed to another interpreter neither as JSON nor pickled: %s"
                    % (self.python_callable.__name__, error)
                ) from error
        return request

    def _run(self, interpreter, request):
        environment = dict(os.environ) if self.inherit_env else {}
        environment.update({str(k): str(v) for k, v in (self.env_vars or {}).items()})
        # Ours are not its.
        for name in ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"):
            environment.pop(name, None)
        with tempfile.TemporaryDirectory(prefix="airflowtmp") as folder:
            asked, answered = os.path.join(folder, "asked.json"), os.path.join(folder, "answered.json")
            with open(asked, "w", encoding="utf-8") as file:
                json.dump(request, file)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            # The folder of a script is the first that an interpreter looks into, and ours holds an `operator`.
            script = shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "other_python.py"), folder)
            try:
                code = subprocess.call([interpreter, script, asked, answered], env=environment, stdin=subprocess.DEVNULL)
            except OSError as error:
                raise AirflowException("cannot start %s: %s" % (interpreter, error.strerror or error)) from error
            try:
                with open(answered, encoding="utf-8") as file:
                    answer = json.load(file)
            except (OSError, ValueError):
                answer = None
        return self._judge(interpreter, code, answer)

    def _judge(self, interpreter, code, answer):
        if code in self.skip_on_exit_code and code != 0:
            raise AirflowSkipException("Process exited with code %d. Skipping." % code)
        if answer is None:
            how = "was ended by signal %d" % -code if code < 0 else "ended with exit code %d" % code
            raise AirflowException("`%s` %s in %s, and returned nothing" % (self.python_callable.__name__, how, interpreter))
        if "error" in answer:
            kind, message = answer["error"], answer["message"]
            if kind in OUTCOMES:
                raise OUTCOMES[kind](message)
            raise AirflowException("%s in %s: %s" % (kind, interpreter, message))
        if "not_json" in answer:
            from ..run import RETURNS

            raise AirflowException(
                "expected the value that `%s` returned in %s to be JSON, got: %s; return %s"
                % (self.python_callable.__name__, interpreter, answer["not_json"], RETURNS)
            )
        return answer["value"]


class PythonVirtualenvOperator(_ElsewhereOperator):
    """Calls the function in a virtual environment, which is made once for the same requirements."""

    template_fields = (*PythonOperator.template_fields, "requirements", "index_urls", "venv_cache_path")

    def __init__(self, *, requirements=None, python_version=None, system_site_packages=True, pip_install_options=None,
                 index_urls=None, index_urls_from_connection_ids=None, venv_cache_path=None, **kwargs):
        super().__init__(**kwargs)
        if index_urls_from_connection_ids:
            raise AirflowException("index_urls_from_connection_ids of task `%s` is not known to Updraft yet; use index_urls"
                                   % self.task_id)
        self.requirements = requirements or []
        self.python_version = None if python_version is None else str(python_version)
        self.system_site_packages = system_site_packages
        self.pip_install_options = list(pip_install_options or [])
        self.index_urls = [index_urls] if isinstance(index_urls, str) else list(index_urls or [])
        self.venv_cache_path = venv_cache_path

    def interpreter(self):
        from .venv_cache import VirtualEnvironment

        return VirtualEnvironment(
            requirements=lines_of(self.requirements, self.dag), python_version=self.python_version,
            system_site_packages=self.system_site_packages, pip_install_options=self.pip_install_options,
            index_urls=self.index_urls, serializer=self.serializer,
        ).interpreter(self.venv_cache_path, self.log)


class ExternalPythonOperator(_ElsewhereOperator):
    """Calls the function in an interpreter that is there."""

    template_fields = (*PythonOperator.template_fields, "python")

    def __init__(self, *, python=None, **kwargs):
        super().__init__(**kwargs)
        if not python:
            raise TypeError("%s `%s` needs `python`, the path of an interpreter" % (type(self).__name__, self.task_id))
        self.python = os.fspath(python)

    def interpreter(self):
        found = self.python if os.path.isabs(self.python) else shutil.which(self.python)
        if not found or not os.access(found, os.X_OK) or os.path.isdir(found):
            raise AirflowException("there is no Python interpreter `%s`" % self.python)
        return found


class _BranchElsewhere(BranchMixIn):
    def execute(self, context):
        return self.do_branch(context, self.call_elsewhere(context))


class BranchPythonVirtualenvOperator(_BranchElsewhere, PythonVirtualenvOperator):
    """The function says in its virtual environment which task to follow."""


class BranchExternalPythonOperator(_BranchElsewhere, ExternalPythonOperator):
    """The function says in its interpreter which task to follow."""


class VirtualenvDecorated(PythonVirtualenvOperator, DecoratedOperator):
    """`@task.virtualenv`."""


class ExternalPythonDecorated(ExternalPythonOperator, DecoratedOperator):
    """`@task.external_python`."""


class BranchVirtualenvDecorated(BranchPythonVirtualenvOperator, DecoratedOperator):
    """`@task.branch_virtualenv`."""


class BranchExternalPythonDecorated(BranchExternalPythonOperator, DecoratedOperator):
    """`@task.branch_external_python`."""


def lines_of(requirements, dag):
    """The requirements one by one; a text may be a file's, with one in each line."""
    if isinstance(requirements, str):
        if requirements.endswith(".txt"):
            folder = os.path.dirname(dag.file) if dag is not None and getattr(dag, "file", None) else os.curdir
            with open(os.path.join(folder, requirements), encoding="utf-8") as file:
                requirements = file.read()
        requirements = requirements.splitlines()
    lines = (str(line).split(" #")[0].strip() for line in requirements)
    return [line for line in lines if line and not line.startswith("#")]


def decorated_source(function):
    """The lines of the function with its decorators, and the number of the first."""
    try:
        return inspect.getsourcelines(function)
    except OSError as error:
        raise AirflowException("the source of `%s`, which is to run in another interpreter, cannot be found: %s"
                               % (function.__name__, error)) from error


def source_of(function):
    """The function as another interpreter can read it: at the margin and without decorators."""
    import ast

    text = textwrap.dedent("".join(decorated_source(function)[0]))
    return "".join(text.splitlines(True)[ast.parse(text).body[0].lineno - 1:])


def first_line(function):
    """Where its `def` stands in the file."""
    import ast

    lines, first = decorated_source(function)
    return first + ast.parse(textwrap.dedent("".join(lines))).body[0].lineno - 1
