"""Callbacks, notifiers and deadlines: what an author wants called when something happens."""

import datetime
import inspect

from .. import notes
from .exceptions import AirflowException
from .signature import signature

# The lists of a task and of a DAG, by what happens.
OF_TASK = ("on_execute_callback", "on_success_callback", "on_failure_callback", "on_retry_callback",
           "on_skipped_callback")
OF_DAG = ("on_success_callback", "on_failure_callback")


def as_list(name, value):
    """One callable, or several."""
    if value is None:
        return []
    found = list(value) if isinstance(value, (list, tuple, set)) else [value]
    for one in found:
        # A notifier of a package that is not here loads; that it is not called is said with the task.
        if not callable(one) and not why_not(one):
            raise TypeError("expected %s to be a function or a list of functions, got: %r" % (name, one))
    return found


def why_not(callback):
    """Why a callback cannot be called in this version; None when it can."""
    if type(callback).__name__ == "Unknown":
        return callback._why
    return getattr(type(callback), "why", None) or getattr(callback, "comes_later", None)


def name_of(callback):
    inner = getattr(callback, "func", callback)
    return getattr(inner, "__qualname__", None) or type(inner).__name__


class BaseNotifier:
    """Somebody who is told. Subclasses say how, by `notify(self, context)`."""

    template_fields = ()
    template_ext = ()

    def __init__(self, **kwargs):
        pass

    def notify(self, context):
        raise NotImplementedError("%s has no `notify` method" % type(self).__name__)

    async def async_notify(self, context):
        self.notify(context)

    def __call__(self, *args):
        # A success or a failure has one argument, a missed SLA had five.
        context = args[0] if len(args) == 1 else {"args": args}
        self.notify(context)

    @property
    def log(self):
        import logging

        return logging.getLogger("airflow.task.notifiers." + type(self).__name__)

    def rendered_arguments(self):
        fields = [self.template_fields] if isinstance(self.template_fields, str) else self.template_fields
        return {f: getattr(self, f) for f in fields if hasattr(self, f)}


class SmtpNotifier(BaseNotifier):
    """A mail. Updraft sends it itself: no Python runs for it."""

    template_fields = ("from_email", "to", "files", "cc", "bcc", "subject", "html_content", "custom_headers")

    def __init__(self, to, from_email=None, subject=None, html_content=None, files=None, cc=None, bcc=None,
                 mime_subtype="mixed", mime_charset="utf-8", custom_headers=None, smtp_conn_id="smtp_default",
                 auth_type="basic", *, template=None, **kwargs):
        super().__init__(**kwargs)
        if template is not None:
            if html_content is not None:
                raise ValueError("expected SmtpNotifier to have only one of `template` and `html_content`")
            with open(template) as file:
                html_content = file.read()
        self.to, self.from_email, self.subject, self.html_content = to, from_email, subject, html_content
        self.files, self.cc, self.bcc, self.custom_headers = files, cc, bcc, custom_headers
        self.smtp_conn_id = smtp_conn_id

    def notify(self, context):
        raise AirflowException("SmtpNotifier is no function: give it to a task or a DAG as its callback")

    def native_spec(self):
        """What it is in a DAG as written."""
        mail = {name: getattr(self, name) for name in self.template_fields}
        # Where there is no such connection, the section [smtp] is meant.
        mail["conn_id"] = None if self.smtp_conn_id == "smtp_default" else self.smtp_conn_id
        return {"email": {name: value for name, value in mail.items() if value is not None}}


def send_smtp_notification(*args, **kwargs):
    """The way to make a notifier that `airflow.providers.smtp` recommends."""
    return SmtpNotifier(*args, **kwargs)


def native_spec_of_deadline(callback):
    """The same of a deadline's callback: a notifier is named by its class or its path, and made of the arguments beside it."""
    target = callback.callback_callable
    is_path = isinstance(target, str) and target.startswith("airflow.") and target.rpartition(".")[2] == "SmtpNotifier"
    if target is SmtpNotifier or is_path:
        return SmtpNotifier(**callback.kwargs).native_spec()
    return native_spec(target)


def native_spec(callback):
    """The callback in a DAG as written, if it is one that needs no Python."""
    is_own = type(callback) is SmtpNotifier
    return callback.native_spec() if is_own else None


class _Callback:
    def __init__(self, callback_callable, kwargs=None, **more):
        if not callable(callback_callable) and not isinstance(callback_callable, str):
            raise TypeError("expected the callback of a deadline to be a function or its path, got: %r"
                            % (callback_callable,))
        self.callback_callable = callback_callable
        self.kwargs = dict(kwargs or {})

    @property
    def path(self):
        found = self.callback_callable
        return found if isinstance(found, str) else "%s.%s" % (found.__module__, found.__qualname__)


class AsyncCallback(_Callback):
    """A coroutine function to await when a deadline is missed."""


class SyncCallback(_Callback):
    """A function to call when a deadline is missed."""

    def __init__(self, callback_callable, kwargs=None, executor=None):
        super().__init__(callback_callable, kwargs)


class DeadlineReference:
    """From when a deadline is counted."""

    DAGRUN_QUEUED_AT = "queued_at"
    DAGRUN_LOGICAL_DATE = "logical_date"

    @staticmethod
    def FIXED_DATETIME(moment):
        if not isinstance(moment, datetime.datetime):
            raise TypeError("expected a datetime, got: %r" % (moment,))
        return moment

    @staticmethod
    def AVERAGE_RUNTIME(max_runs=0, min_runs=None):
        return AverageRuntime()


class AverageRuntime:
    """Updraft does not follow it yet."""


class DeadlineAlert:
    """By when a run should have succeeded, and who is called when it has not."""

    def __init__(self, reference, interval, callback, name=None, **kwargs):
        if not isinstance(interval, datetime.timedelta):
            raise TypeError("expected the interval of a deadline to be a timedelta, got: %r" % (interval,))
        if not isinstance(callback, _Callback):
            raise TypeError("expected the callback of a deadline to be an AsyncCallback or a SyncCallback, got: %r"
                            % (callback,))
        self.reference, self.interval, self.callback, self.name = reference, interval, callback, name


def deadlines(value):
    found = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
    for one in found:
        if not isinstance(one, DeadlineAlert):
            raise TypeError("expected deadline to be a DeadlineAlert or a list of them, got: %r" % (one,))
    return found


# -- calling

def find(dag, task_id, said):
    """The callable that is meant, and the keyword arguments that its author gave it."""
    place, occasion = said.get("place") or 0, said["occasion"]
    if occasion == "deadline":
        alerts = dag.deadline
        if place < len(alerts):
            callback = alerts[place].callback
            return callback.callback_callable, callback.kwargs
    else:
        thing = dag if said["about"] == "run" else dag.get_task(task_id)
        known = getattr(thing, occasion + "_callback", [])
        if place < len(known):
            found = known[place]
            return found, found.rendered_arguments() if isinstance(found, BaseNotifier) else {}
    raise AirflowException("DAG `%s` has no such %s callback any more" % (dag.dag_id, occasion))


def call(function, context, kwargs):
    """Calls it with the context, waits for it if it is a coroutine."""
    if isinstance(function, BaseNotifier):
        for name, value in kwargs.items():
            setattr(function, name, value)
        value = function(context)
    elif isinstance(function, type) and issubclass(function, BaseNotifier):
        # A deadline names the class of its notifier, and what that is made of.
        notifier = function(**kwargs)
        notifier.context = context
        value = notifier.async_notify(context)
    elif kwargs or context.get("deadline") is not None:
        value = function(**with_context(function, kwargs, context))
    else:
        value = function(context)
    if inspect.isawaitable(value):
        import asyncio

        async def wait():
            return await value

        asyncio.run(wait())


def with_context(function, kwargs, context):
    """The arguments of a function that has some of its own; the context where it takes one."""
    kwargs = dict(kwargs)
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return kwargs
    takes_any = any(p.kind == p.VAR_KEYWORD for p in parameters)
    if takes_any or any(p.name == "context" for p in parameters):
        kwargs.setdefault("context", context)
    return kwargs


def run_all(functions, context):
    """Calls them one after the other, inside the task's process; one that fails does not touch the task."""
    import logging

    for function in functions:
        if native_spec(function):
            continue
        why = why_not(function)
        if why:
            logging.getLogger("airflow.task").warning("`%s` cannot be called: %s", name_of(function), why)
            continue
        try:
            call(function, context, {})
        except Exception:
            logging.getLogger("airflow.task").exception("Failed to run task callback `%s`", name_of(function))


def exception_of(text):
    """The exception that a task's message tells of, as far as a name and a text can say."""
    import builtins

    kind, _, message = text.partition(": ")
    found = getattr(builtins, kind, None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            return found(message)
        except Exception:  # Some need more than a text.
            return AirflowException(text)
    return AirflowException(message if kind == "AirflowException" else text)
