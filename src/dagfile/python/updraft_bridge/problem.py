"""From an exception to what its author should read: file, line, column, one sentence, a hint, the traceback.

Works without the interpreter's own suggestions, which old versions lack.
"""

import builtins
import os
import re
import sys
import traceback

from . import notes
from .imports import inside, relative
from .limits import TimeIsUp, TooManyProcesses

# Packages whose import name is not the name to install.
INSTALL_AS = {
    "yaml": "pyyaml", "sklearn": "scikit-learn", "bs4": "beautifulsoup4", "dateutil": "python-dateutil",
    "PIL": "pillow", "cv2": "opencv-python", "psycopg2": "psycopg2-binary", "dotenv": "python-dotenv",
    "google": "google-cloud", "git": "gitpython",
}


def describe(error, trace, file, folder, memory_mb=None):
    """The problem of an exception that left the author's code."""
    if isinstance(error, SyntaxError) and error.filename and (error.lineno or 0) > 0:
        where, line, column = error.filename, error.lineno, error.offset or None
        message = "%s: %s" % (type(error).__name__, error.msg)
        frames = []
    else:
        frames = author_frames(trace, folder)
        where, line, column = last_place(frames, trace) or (file, None, None)
        message = sentence(error)
    return {
        "severity": "error",
        "file": relative(where, folder),
        "line": line,
        "column": column if column and column > 0 else None,
        "message": message,
        "hint": hint(error, frames, memory_mb),
        "detail": text_of(error, trace),
    }


def sentence(error):
    if isinstance(error, TimeIsUp):
        return str(error)
    if isinstance(error, TooManyProcesses):
        return str(error)
    if isinstance(error, SystemExit):
        return "the file ended the interpreter while it was loaded (sys.exit(%s))" % (
            "" if error.code is None else repr(error.code)
        )
    # A KeyError's text is the repr of its key; a whole sentence in it should read as one.
    text = error.args[0] if isinstance(error, KeyError) and len(error.args) == 1 and " " in str(error.args[0]) else error
    first = str(text).strip().split("\n")[0]
    if isinstance(error, ImportError):
        # The file's path and the interpreter's guess are said better by place and hint.
        first = re.sub(r"( \(most likely due to a circular import\))?( \((/.*|unknown location)\))$", "", first)
    return "%s: %s" % (type(error).__name__, first) if first else type(error).__name__


def hint(error, frames, memory_mb):
    """What to do, when it can be guessed."""
    own = getattr(error, "updraft_hint", None)
    if own:
        return own
    if isinstance(error, TimeIsUp):
        return "move slow work (network, database, sleeping) into tasks; [core] dagbag_import_timeout sets the limit"
    if isinstance(error, TooManyProcesses):
        return "start processes in tasks, not while the file is loaded"
    if isinstance(error, MemoryError):
        limit = " (the limit is %d MiB)" % memory_mb if memory_mb else ""
        return "do the work in a task: loading a DAG file should take little memory%s" % limit
    if isinstance(error, SystemExit):
        return "guard the call with `if __name__ == \"__main__\":`"
    if isinstance(error, RecursionError):
        return "a function calls itself without end"
    if isinstance(error, NameError):
        return hint_for_name(error, frames)
    if isinstance(error, ModuleNotFoundError):
        return hint_for_module(error)
    if isinstance(error, ImportError):
        return hint_for_import(error)
    if isinstance(error, AttributeError):
        return hint_for_attribute(error)
    if isinstance(error, TypeError):
        return hint_for_argument(error)
    if isinstance(error, (IndentationError, TabError)):
        return "check the indentation of this line and the one before"
    return None


def hint_for_name(error, frames):
    name = getattr(error, "name", None)
    if not isinstance(name, str):
        found = re.search(r"name '([^']+)'|local variable '([^']+)'", str(error))
        name = (found.group(1) or found.group(2)) if found else None
    if not name:
        return None
    known = []
    if frames:
        frame = frames[-1]
        known = [n for scope in (frame.f_locals, frame.f_globals) for n in scope if not n.startswith("__")]
    return notes.did_you_mean(name, known) or notes.did_you_mean(name, dir(builtins)) or hint_to_import(name)


def hint_to_import(name):
    from . import surface

    if name in surface.NAMES:
        for module, names in surface.MODULES.items():
            if module != "airflow.sdk" and name in names.split():
                return "add `from %s import %s`" % (module, name)
    if name in ("datetime", "timedelta", "timezone"):
        return "add `from datetime import %s`" % name
    if name in sys.builtin_module_names or name in getattr(sys, "stdlib_module_names", ()):
        return "add `import %s`" % name
    return None


def hint_for_module(error):
    name = error.name or ""
    top = name.split(".")[0]
    known = set(getattr(sys, "stdlib_module_names", sys.builtin_module_names))
    for folder in sys.path:
        try:
            known.update(os.path.splitext(entry)[0] for entry in os.listdir(folder or "."))
        except OSError:
            continue
    known = {k for k in known if k.isidentifier() and not k.startswith("_")}
    meant = notes.nearest(top, known, cutoff=0.8)
    if meant and meant != top:
        return "did you mean `%s`?" % meant
    if "." in name and top in known:
        return None
    return "install it for this interpreter: `%s -m pip install %s`" % (sys.executable, INSTALL_AS.get(top, top))


def hint_for_import(error):
    text = str(error)
    if "partially initialized module" in text or "circular import" in text:
        return "two modules import each other; move what both need into a third one"
    found = re.match(r"cannot import name '([^']+)' from '([^']+)'", text)
    module = sys.modules.get(found.group(2)) if found else None
    return notes.did_you_mean(found.group(1), dir(module)) if module is not None else None


def hint_for_attribute(error):
    name, thing = getattr(error, "name", None), getattr(error, "obj", None)
    if isinstance(name, str) and thing is not None:
        return notes.did_you_mean(name, [n for n in dir(thing) if not n.startswith("_")])
    found = re.match(r"module '([^']+)' has no attribute '([^']+)'", str(error))
    module = sys.modules.get(found.group(1)) if found else None
    return notes.did_you_mean(found.group(2), dir(module)) if module is not None else None


def hint_for_argument(error):
    if "unsupported operand type(s) for >>" in str(error) or "unsupported operand type(s) for <<" in str(error):
        return "beside `>>` and `<<` stand tasks and lists of tasks; between two lists use chain() or cross_downstream()"
    return None


# -- places

def author_frames(trace, folder):
    """The frames of a traceback that lie in the DAGs folder, outermost first."""
    return [frame for frame, _ in traceback.walk_tb(trace) if inside(frame.f_code.co_filename, folder)]


def last_place(frames, trace):
    """`(file, line, column)` of the innermost frame of the author's."""
    if not frames:
        return None
    wanted = frames[-1]
    place = None
    here = trace
    while here is not None:
        if here.tb_frame is wanted:
            place = (wanted.f_code.co_filename, here.tb_lineno, column_of(here))
        here = here.tb_next
    return place


def column_of(trace):
    """Counted from 1, in characters; None where the interpreter does not keep columns (before 3.11)."""
    positions = getattr(trace.tb_frame.f_code, "co_positions", None)
    if positions is None:
        return None
    try:
        import itertools
        import linecache

        _, _, offset, _ = next(itertools.islice(positions(), trace.tb_lasti // 2, None))
        if offset is None:
            return None
        line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        return len(line.encode("utf-8")[:offset].decode("utf-8", "replace")) + 1
    except StopIteration:
        return None


def text_of(error, trace):
    """The traceback as Python prints it, without our own frames and those of the import machinery."""
    told = traceback.TracebackException(type(error), error, trace)
    seen, rest = set(), [told]
    while rest:
        one = rest.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        rest += [one.__cause__, one.__context__]
        one.stack[:] = [frame for frame in one.stack if not is_machinery(frame.filename)]
    return "".join(told.format()).rstrip()


def is_machinery(filename):
    return filename.startswith((notes.HERE, "<frozen importlib")) or filename == "<string>"
