"""The entry of all modes: take the channel, read what is asked, do it."""

import os
import sys


def main():
    if sys.argv[2:3] == ["sdk"]:
        # Airflow's task runner has the channel to itself.
        from .sdk_task import main

        return main()
    from .channel import Channel

    is_fork = sys.argv[2:] == ["warm"]
    if is_fork:
        from .warm import serve

        # It comes back in the process of each task, which goes on here like one that was started for it.
        serve()
    channel = Channel.from_stdin()
    request = channel.receive()
    # The current folder must not shadow the standard library.
    sys.path[:] = [p for p in sys.path if p]
    if request["type"] == "parse":
        if request.get("sdk"):
            from .sdk_parse import parse
        else:
            from .parse import parse

        code = parse(request, channel) or 0
    elif request["type"] == "start":
        from .run import run

        code = run(request, channel)
    else:
        raise ValueError("expected a request of type parse or start, got: %r" % request["type"])
    if request["type"] == "parse":
        # Nothing that the file left behind (threads, atexit) is waited for.
        os._exit(0)
    if is_fork:
        from .leave import leave

        leave(code)
    sys.exit(code)
