"""How the process of one task comes out of a warm interpreter (`worker/companion/nursery.rs`).

It is forked twice, so that it becomes a child of the companion. It waits, in a
group of its own and with nothing open but what is its own, until the companion
has written it down; without a word from there it ends.
"""

import gc
import json
import os
import sys


# The sockets of the interpreter that forks. In a task their numbers belong to others.
sockets = set()


def make_streams():
    """Standard output and error of all forks. They must not be made of a file: of one that cannot be sought
    a stream remembers that for good, and the log is a pipe."""
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_WRONLY)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(writing, number)
        stream = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)
        os.dup2(null, number)
    for fd in (reading, writing, null):
        os.close(fd)


def child_of_nobody():
    """True in a process whose parent has already gone on."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return False
    if os.fork():
        os._exit(0)
    return True


def bear(descriptors, slower=None):
    """True in the process of the task, once it may begin. `descriptors` are the control, the output, and the channel."""
    if not child_of_nobody():
        for fd in descriptors:
            os.close(fd)
        return False
    try:
        begin(descriptors, slower)
    except BaseException:  # noqa: B902  (nobody would hear of it)
        os._exit(1)
    return True


def begin(descriptors, slower):
    from .channel import Channel

    os.setpgid(0, 0)
    control, output = descriptors[:2]
    channel = descriptors[2] if len(descriptors) > 2 else os.open(os.devnull, os.O_RDONLY)
    os.dup2(channel, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for one in sockets:
        one.detach()
    sockets.clear()
    # What else is open belongs to the interpreter or to another task.
    for fd in os.listdir("/proc/self/fd"):
        if int(fd) > 2 and int(fd) != control:
            try:
                os.close(int(fd))
            except OSError:
                pass
    companion = Channel(control)
    companion.send({"pid": os.getpid(), "slower": slower} if slower else {"pid": os.getpid()})
    # At the end of the stream this raises: then nothing was begun, and nothing will be.
    go = companion.receive()
    os.close(control)
    os.environ.update(go["env"])
    os.chdir(go["cwd"])
    be_different()
    gc.enable()


def be_different():
    """Forks of one interpreter must not draw the same numbers."""
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def prepare():
    """Before many forks: what is there stays where it is, so that its memory is shared."""
    gc.collect()
    gc.freeze()
    # A collection in between would write to every page.
    gc.disable()


def packet(message):
    return json.dumps(message, separators=(",", ":")).encode("utf-8")
