"""What a DAG file may take while it is loaded: time, memory, processes.

These protect the node from mistakes, as far as a process without privileges
can. They are not a wall against malice: a DAG file is code that its author is
trusted to run. The Rust side kills the process group when all else fails.
"""

import os
import resource
import signal
import sys

# Enough for a file that asks git or uname something, too few to hurt.
CHILDREN = 64

_children_said = "a DAG file may start at most %d processes while it is loaded" % CHILDREN


class TimeIsUp(BaseException):
    """Not an Exception: a file that catches everything must not catch this."""


class TooManyProcesses(BaseException):
    pass


def memory(megabytes):
    """Bounds the address space. The hard limit stays, so that we can still report."""
    if megabytes:
        size = megabytes << 20
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            size = min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def lift_memory():
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def time(seconds):
    """Interrupts the author's code after so long, where it is, so that the traceback shows where."""

    def ring(signum, frame):
        raise TimeIsUp("loading took longer than %g s" % seconds)

    signal.signal(signal.SIGALRM, ring)
    # Once more each half second, in case something between swallowed it.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    # Processor time is bounded a little later, for code that never comes back to the interpreter.
    cpu = int(seconds) + 2
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or cpu < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1 if hard == resource.RLIM_INFINITY else hard))


def stop_time():
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def processes():
    """Bounds how many processes this one and its descendants start.

    The kernel's limit counts all processes of the user and does not bind
    root. So besides it, each fork of Python's own takes a token from a pipe
    that all descendants share.
    """
    try:
        with open("/proc/loadavg") as load:
            entities = int(load.read().split()[3].split("/")[1])
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        wanted = entities + 2 * CHILDREN
        if hard == resource.RLIM_INFINITY or wanted < hard:
            resource.setrlimit(resource.RLIMIT_NPROC, (wanted, wanted))
    except (OSError, ValueError, IndexError):
        pass
    tokens, give = os.pipe()
    os.write(give, b"." * CHILDREN)
    os.close(give)
    starts = {"os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen", "os.system"}

    def hook(event, args):
        if event in starts and not os.read(tokens, 1):
            raise TooManyProcesses(_children_said)

    sys.addaudithook(hook)
