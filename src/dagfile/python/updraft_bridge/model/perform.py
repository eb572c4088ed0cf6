"""Doing the work of one task object: its own templates, `execute`, and what it defers to.

A trigger runs in the task's own process, which keeps its slot meanwhile:
Updraft has no process of its own for triggers written in Python.
"""

import asyncio
import logging

from . import templates
from .exceptions import AirflowException, TaskDeferralTimeout, TaskDeferred


def perform(task, context):
    """What `execute` returns; where it defers, what the method that it names returns in the end."""
    templates.render_own(task, context)
    try:
        return task.execute(context)
    except TaskDeferred as first:
        deferred = first
    while True:
        logging.getLogger("airflow.task").info("Waiting for %s in this process", type(deferred.trigger).__name__)
        event = asyncio.run(first_event(deferred.trigger, deferred.timeout))
        method = getattr(task, deferred.method_name, None)
        if method is None:
            raise AirflowException("task `%s` deferred to its method `%s`, which it does not have"
                                   % (task.task_id, deferred.method_name))
        try:
            return method(context, **dict(deferred.kwargs or {}, event=event))
        except TaskDeferred as again:
            deferred = again


async def first_event(trigger, timeout):
    async def look():
        async for event in trigger.run():
            return getattr(event, "payload", event)
        raise AirflowException("the trigger %s ended without an event" % type(trigger).__name__)

    seconds = None if timeout is None else timeout.total_seconds()
    try:
        return await asyncio.wait_for(look(), seconds)
    except asyncio.TimeoutError:
        raise TaskDeferralTimeout("the trigger %s gave no event within %g s" % (type(trigger).__name__, seconds)) from None
