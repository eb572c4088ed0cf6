"""The operators of the standard provider that this version runs."""

import inspect
import os
import signal

from .exceptions import AirflowException, AirflowSkipException
from .operator import BaseOperator
from .signature import signature
from .xcom_arg import resolve


class EmptyOperator(BaseOperator):
    """Does nothing. The scheduler passes it without starting a process."""

    ui_color = "#e8f7e4"

    def execute(self, context):
        return None


class DummyOperator(EmptyOperator):
    """The name that EmptyOperator had before Airflow 2.3."""


class BashOperator(BaseOperator):
    """Runs a Bash command. Updraft's worker starts Bash itself; `execute` serves subclasses only."""

    template_fields = ("bash_command", "env", "cwd")
    template_ext = (".sh", ".bash")
    ui_color = "#f0ede4"

    def __init__(self, bash_command=None, env=None, append_env=False, output_encoding="utf-8",
                 skip_on_exit_code=99, skip_exit_code=None, cwd=None, output_processor=None, **kwargs):
        super().__init__(**kwargs)
        if bash_command is None:
            raise TypeError("%s `%s` needs a bash_command" % (type(self).__name__, self.task_id))
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.output_encoding = output_encoding
        self.skip_on_exit_code = exit_codes(skip_on_exit_code if skip_exit_code is None else skip_exit_code)
        self.cwd = cwd
        self.output_processor = output_processor
        self._process = None

    def execute(self, context):
        return self.run_command(
            str(resolve(self.bash_command, context)), env=resolve(self.env, context), append_env=self.append_env,
            output_encoding=self.output_encoding, skip_on_exit_code=self.skip_on_exit_code, cwd=self.cwd,
            output_processor=self.output_processor)

    def run_command(self, command, env, append_env, output_encoding, skip_on_exit_code, cwd, output_processor):
        """The last line that the command prints. Also the work of `@task.bash`."""
        # Loading a DAG file need not pay for these.
        import shutil
        import subprocess
        import tempfile

        if env is not None:
            env = dict(os.environ, **env) if append_env else dict(env)
        fresh = tempfile.mkdtemp(prefix="airflowtmp") if cwd is None else None
        try:
            last = ""
            self._process = subprocess.Popen(
                ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd or fresh, env=env,
            )
            for line in self._process.stdout:
                last = line.decode(output_encoding, "backslashreplace").rstrip()
                print(last, flush=True)
            code = self._process.wait()
        finally:
            if fresh:
                shutil.rmtree(fresh, ignore_errors=True)
        if code in exit_codes(skip_on_exit_code):
            raise AirflowSkipException("Bash command returned exit code %d. Skipping." % code)
        if code != 0:
            raise AirflowException("Bash command failed. The command returned a non-zero exit code %d." % code)
        return output_processor(last) if output_processor else last

    def on_kill(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)


def exit_codes(value):
    """One code, several, or None for none."""
    return list(value) if isinstance(value, (list, tuple, set)) else [] if value is None else [value]


class PythonOperator(BaseOperator):
    """Calls a Python function; it gets the context's values by the names of its parameters."""

    template_fields = ("templates_dict", "op_args", "op_kwargs")
    ui_color = "#ffefeb"

    def __init__(self, python_callable=None, op_args=None, op_kwargs=None, templates_dict=None,
                 templates_exts=None, show_return_value_in_logs=True, **kwargs):
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise TypeError(
                "expected python_callable of %s `%s` to be a function, got: %r"
                % (type(self).__name__, self.task_id, python_callable)
            )
        self.python_callable = python_callable
        self.op_args = op_args if op_args is not None else []
        self.op_kwargs = op_kwargs if op_kwargs is not None else {}
        self.templates_dict = templates_dict
        self.show_return_value_in_logs = show_return_value_in_logs

    def rendered_arguments(self):
        kwargs = dict(self.op_kwargs)
        if self.templates_dict and "templates_dict" not in kwargs:
            kwargs["templates_dict"] = self.templates_dict
        return list(self.op_args), kwargs

    def take_rendered(self, args, kwargs):
        kwargs = dict(kwargs)
        if self.templates_dict and "templates_dict" not in self.op_kwargs:
            self.templates_dict = kwargs.pop("templates_dict", self.templates_dict)
        self.op_args, self.op_kwargs = args, kwargs

    def execute(self, context):
        if self.templates_dict:
            context["templates_dict"] = self.templates_dict
        args = [resolve(a, context) for a in self.op_args]
        kwargs = {k: resolve(v, context) for k, v in dict(self.op_kwargs).items()}
        value = call(self.python_callable, args, kwargs, context)
        if self.show_return_value_in_logs:
            self.log.info("Done. Returned value was: %s", value)
        return value


def call(function, args, kwargs, context):
    """Calls with the given arguments, and with those values of the context that the function asks for by name."""
    try:
        parameters = signature(function).parameters
    except (TypeError, ValueError):
        return function(*args, **kwargs)
    taken = list(parameters.values())[: len(args)]
    by_position = {p.name for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)}
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        given = {k: v for k, v in context.items() if k not in by_position}
    else:
        given = {
            name: context[name]
            for name, p in parameters.items()
            if name in context and name not in by_position and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
    given.update(kwargs)
    if inspect.isgeneratorfunction(function):
        return drain(function(*args, **given), context)
    return function(*args, **given)


def drain(generator, context):
    """A function that yields says something of the assets that it changes; what it returns is its value."""
    from .asset import Metadata

    while True:
        try:
            said = next(generator)
        except StopIteration as end:
            return end.value
        if isinstance(said, Metadata):
            context["outlet_events"].take(said)
