"""Runs every statement of a list by the interpreter at hand: `names.py PACKAGE_DIR LIST`. Says what is wrong, or nothing.

A name without a note must be the real thing: neither a place holder nor a name of nothing.
"""

import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True

from updraft_bridge import finder  # noqa: E402

finder.install()


def trouble(statement, note):
    names = {}
    try:
        exec(statement, names)
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)
    names.pop("__builtins__", None)
    if not names:
        return "it gives no name"
    later = set(note.partition("later:")[2].split())
    for name, value in names.items():
        waits = isinstance(getattr(value, "comes_later", None), str) or type(value).__name__ == "LaterType"
        if waits != (name in later) and note != "of another interpreter":
            return "%s %s" % (name, "cannot run" if waits else "can run: take its note away")
        if value is None and name != "NEW_SESSION":
            return "%s is None" % name
    return None


count = 0
for number, line in enumerate(open(sys.argv[2], encoding="utf-8"), 1):
    statement, _, note = line.strip().partition("#")
    if statement.strip():
        count += 1
        wrong = trouble(statement.strip(), note.strip())
        if wrong:
            print("line %d: `%s`: %s" % (number, statement.strip(), wrong))
print("%d statements" % count, file=sys.stderr)
