"""How a task's output tells the worker what it is: a level and a source for what is logged, and for standard error.

The marks are those of `worker/log/mark.rs`. What is printed has none, and what
programs write that a task starts has none either.
"""

import io
import logging
import sys

# Whether this was done: where a file is kept imported, it was done before that.
_is_set_up = False


class Marked(logging.Formatter):
    """One record is one block: its first line has the mark, and the others go on with it."""

    def format(self, record):
        text = super().format(record).replace("\n", "\n\x1e\x1e")
        return "\x1e%s\x1f%s:%d\x1f%s" % (record.levelname, record.filename, record.lineno, text)


class StandardError(io.TextIOWrapper):
    """`sys.stderr`: each of its lines says that it is one."""

    _begins = True

    def write(self, text):
        marked = []
        for line in text.splitlines(True) if "\r" not in text else [text]:
            marked.append("\x1eERROR\x1fstderr\x1f" + line if self._begins else line)
            self._begins = line.endswith(("\n", "\r"))
        super().write("".join(marked))
        return len(text)


def set_up():
    """Lines leave as they are written, so that a killed task's log is whole."""
    global _is_set_up
    if _is_set_up:
        return
    _is_set_up = True
    sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    sys.stderr.flush()
    sys.stderr = StandardError(sys.stderr.buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Marked("%(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
