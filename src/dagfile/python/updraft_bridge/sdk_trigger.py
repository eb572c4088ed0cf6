"""A deferred task's trigger, and how the task goes on when it has fired.

The trigger runs in the process of its task, as the only thing that is left of
it: its `run()` is awaited until the first event. What the task then goes on with
is said to `worker/sdk`, which answers with the runner's next first word.
"""

import asyncio
import contextlib
import datetime
import itertools
import logging
import os
import socket
import struct
import traceback

log = logging.getLogger("airflow.task")

FAILED = "__fail__"


class Wire:
    """Words of our own on the runner's channel, while no runner is on it."""

    def __init__(self, fd):
        self.fd = fd
        self.ids = itertools.count()

    def ask(self, body):
        import msgspec

        self.say(body)
        (length,) = struct.unpack(">I", self.read(4))
        answer = msgspec.msgpack.decode(self.read(length))
        if len(answer) > 2 and answer[2] is not None:
            raise RuntimeError(answer[2].get("detail"))
        return answer[1]

    def say(self, body):
        """The answer is the next runner's first word."""
        import msgspec

        data = msgspec.msgpack.encode([next(self.ids), body])
        rest = memoryview(struct.pack(">I", len(data)) + data)
        while rest:
            rest = rest[os.write(self.fd, rest):]

    def read(self, length):
        parts = []
        while length:
            part = os.read(self.fd, min(length, 1 << 20))
            if not part:
                raise ConnectionError("Updraft's worker went away")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def wait(wire, deferral):
    """Runs the trigger of `deferral` and returns what the task goes on with; None when the event has ended the task."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.serde import serialize

    # A trigger asks for connections and the like as its task does.
    decoder = task_runner.CommsDecoder[task_runner.ToTask, task_runner.ToSupervisor](socket=socket.socket(fileno=os.dup(wire.fd)))
    task_runner.SUPERVISOR_COMMS = decoder
    log.info("Deferred: waiting for trigger %s", deferral["classpath"])
    try:
        event = asyncio.run(first_event(deferral))
    except asyncio.TimeoutError:
        return fail("Trigger timeout", None)
    except Exception as error:
        log.exception("Trigger %s failed", deferral["classpath"])
        return fail("Trigger failure", traceback.format_exception(type(error), error, error.__traceback__))
    finally:
        decoder.socket.close()
    log.info("Trigger fired: %r", event)
    if event is None:
        return fail("Trigger failure", ["The trigger ended without an event\n"])
    end = getattr(event, "task_instance_state", None)
    if end is not None:
        for key, value in (event.xcoms or {}).items():
            wire.ask({"type": "Updraft.Leave", "key": key, "value": serialize(value)})
        wire.ask(ending(str(getattr(end, "value", end))))
        return None
    kwargs = dict(deferral.get("next_kwargs") or {}, event=serialize(event.payload))
    return {"type": "Updraft.Resume", "next_method": deferral["next_method"], "next_kwargs": kwargs}


def ending(state):
    if state == "success":
        return {"type": "SucceedTask"}
    return {"type": "TaskState", "state": state}


def fail(error, lines):
    return {"type": "Updraft.Resume", "next_method": FAILED, "next_kwargs": {"error": error, "traceback": lines}}


async def first_event(deferral):
    import msgspec
    from airflow.sdk.module_loading import import_string
    from airflow.sdk.serde import deserialize

    limit = deferral.get("trigger_timeout")
    seconds = None if limit is None else msgspec.convert(limit, datetime.timedelta, strict=False).total_seconds()
    trigger = import_string(deferral["classpath"])(**(deserialize(deferral.get("trigger_kwargs") or {}) or {}))

    async def run():
        async with contextlib.aclosing(trigger.run()) as events:
            async for event in events:
                return event

    try:
        return await asyncio.wait_for(run(), seconds)
    finally:
        cleanup = getattr(trigger, "cleanup", None)
        if cleanup is not None:
            await cleanup()
