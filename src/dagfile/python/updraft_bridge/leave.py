"""How a forked task's process ends: as any interpreter does, except that nobody tidies up.

Taking apart all that a warm interpreter has loaded takes longer than many a
task, and copies the memory that its forks share. So what can be noticed is done,
in the interpreter's own order, and the rest is left to the operating system.
"""

import atexit
import gc
import io
import os
import sys
import threading


def leave(code):
    # Threads that are no daemons are waited for.
    attempt(threading._shutdown)
    attempt(atexit._run_exitfuncs)
    attempt(write_what_is_open)
    attempt(let_go)
    for stream in (sys.stdout, sys.stderr):
        attempt(stream.flush)
    os._exit(code)


def write_what_is_open():
    """Before anything is let go: of objects that go together, a stream may go before what it has to write."""
    # What was there before the fork is frozen, and not looked at.
    for thing in gc.get_objects():
        if issubclass(type(thing), (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)) and not thing.closed:
            attempt(thing.flush)


def let_go():
    """Ends the objects of the author's modules."""
    from . import imports

    for name, module in list(sys.modules.items()):
        if imports.is_authors(module) and name != "__main__":
            vars(module).clear()
    # A whole collection looks at much that is shared; without one before it, all that is new is in the younger ones.
    gc.collect(2 if gc.get_count()[2] else 1)


def attempt(step):
    try:
        step()
    except BaseException as error:  # noqa: B902  (the interpreter, too, says it and goes on)
        try:
            sys.excepthook(type(error), error, error.__traceback__)
        except BaseException:  # noqa: B902
            pass
