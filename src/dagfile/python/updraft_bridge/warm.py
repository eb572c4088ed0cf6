"""The warm interpreter: it has loaded the bridge, and forks a process for each task.

It asks nothing of the outside and runs no code of an author's. For a DAG file
that comes more than once it forks a keeper (`keeper.py`), which imports the file
once and from which the tasks of that file are forked then.
"""

import json
import os
import select
import socket
import sys
import time

from . import fork
from .keeper import Keeper, state_of

# So many files are kept imported; the one that was not needed for longest goes first.
KEPT_FILES = 8

# Seconds after which a file that could not be kept is given another try: a module beside it may be mended.
TRY_AGAIN = 300

# What a fork should find loaded. Nothing here may open, start or ask anything.
LOADED = (
    "calendar", "datetime", "functools", "hashlib", "inspect", "locale", "linecache", "logging", "random", "re", "threading", "traceback", "typing",
    "zoneinfo",
    "updraft_bridge.channel", "updraft_bridge.finder", "updraft_bridge.imports", "updraft_bridge.notes",
    "updraft_bridge.leave", "updraft_bridge.pendulum_stand_in", "updraft_bridge.problem", "updraft_bridge.run", "updraft_bridge.spec", "updraft_bridge.surface",
    "updraft_bridge.task_log",
    "updraft_bridge.model.asset", "updraft_bridge.model.branching", "updraft_bridge.model.callbacks",
    "updraft_bridge.model.compat", "updraft_bridge.model.context", "updraft_bridge.model.dag",
    "updraft_bridge.model.macros", "updraft_bridge.model.mapped", "updraft_bridge.model.operators",
    "updraft_bridge.model.store_values", "updraft_bridge.model.taskflow", "updraft_bridge.model.task_group",
)


def load_bridge():
    for name in LOADED:
        try:
            __import__(name)
        except ImportError:
            # Old interpreters lack some; the task that needs it will say so.
            pass


def serve(load=None):
    """Returns in the process of a task alone, with the task's channel as file descriptor 0."""
    sys.path[:] = [p for p in sys.path if p]
    (load or load_bridge)()
    fork.make_streams()
    # The number 0 is the channel of each task later.
    companion = socket.socket(fileno=os.dup(0))
    fork.sockets.add(companion)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    fork.prepare()
    companion.send(b"ready")
    if Warm(companion).serve():
        sys.argv[:] = sys.argv[:2]
        return
    os._exit(0)


class Warm:
    def __init__(self, companion):
        self.companion = companion
        # By path, the one that was needed last at the end.
        self.keepers = {}
        # What has come once: its state then, why it cannot be kept, and since when that is known.
        self.seen = {}

    def serve(self):
        """True in the process of a task; false when the companion is gone."""
        while True:
            for keeper in self.wait():
                keeper.hear()
                if keeper.refuses:
                    self.seen[keeper.path] = (keeper.first, keeper.refuses, time.monotonic())
                if keeper.is_gone or keeper.refuses:
                    self.drop(keeper)
            reap()
            if not self.has_request:
                continue
            message, descriptors, _, _ = socket.recv_fds(self.companion, 1 << 16, 3)
            if not message:
                return False
            if len(descriptors) < 2:
                # There are none left: the companion sees that nobody answers.
                for fd in descriptors:
                    os.close(fd)
            elif self.request(json.loads(message), descriptors):
                return True

    def wait(self):
        """Waits for a request or for a keeper, and gives the keepers that have something to say."""
        poll = select.poll()
        poll.register(self.companion, select.POLLIN)
        by_fd = {keeper.socket.fileno(): keeper for keeper in self.keepers.values()}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll()]
        self.has_request = self.companion.fileno() in ready
        return [by_fd[fd] for fd in ready if fd in by_fd]

    def request(self, request, descriptors):
        """True in the process of a task."""
        if not request.get("file"):
            return fork.bear(descriptors)
        path = os.path.join(request["folder"], request["file"])
        keeper = self.keepers.pop(path, None)
        if keeper is not None and keeper.is_stale():
            self.leave(keeper)
            keeper = None
        if keeper is not None:
            # Now it is the one that was needed last.
            self.keepers[path] = keeper
            if keeper.is_ready and keeper.give(descriptors):
                return False
            return fork.bear(descriptors)
        state = state_of(path)
        before, why, since = self.seen.get(path, (None, None, 0))
        known = why if before == state and time.monotonic() - since < TRY_AGAIN else None
        if fork.bear(descriptors, known):
            return True
        if known:
            return False
        self.remember(path, state)
        # Most files come once: to import it twice would gain nothing.
        return before is not None and self.start(path, request["folder"], state)

    def remember(self, path, state):
        if len(self.seen) > 1000:
            self.seen.clear()
        self.seen[path] = (state, None, 0)

    def start(self, path, folder, state):
        """Lets the file be imported, beside what goes on. True in the process of a task that came of that."""
        if len(self.keepers) >= KEPT_FILES:
            self.drop(next(iter(self.keepers.values())))
        keeper = Keeper.start(path, folder, state)
        if keeper is True:
            return True
        if keeper is not None:
            self.keepers[path] = keeper
        return False

    def drop(self, keeper):
        self.keepers.pop(keeper.path, None)
        self.leave(keeper)

    @staticmethod
    def leave(keeper):
        keeper.close()
        reap()


def reap():
    """Keepers that have left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
