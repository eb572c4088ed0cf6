"""What we have to say to the author of a DAG file while it loads, each with its line."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep

# Filled while a file loads; taken by `parse`.
warnings = []
# The file that is being loaded, absolute.
dag_file = None
_said = set()


def author_frame():
    """The innermost frame that is neither ours nor the standard machinery of imports."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(HERE) and not name.startswith("<frozen") and name != "<string>":
            return frame
        frame = frame.f_back
    return None


def author_place():
    """`(file, line)` of the author's statement that led here, or `(None, None)`."""
    frame = author_frame()
    if frame is None:
        return None, None
    return frame.f_code.co_filename, frame.f_lineno


def place_in_dag_file():
    """The same, but of the DAG file itself: what a module beside it makes belongs to the line that asked for it."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == dag_file:
            return dag_file, frame.f_lineno
        frame = frame.f_back
    return author_place()


def warn(message, hint=None, place=None, once=None):
    """Keeps a warning. With `once`, only the first of that key in a file is kept."""
    if once is not None:
        if once in _said:
            return
        _said.add(once)
    file, line = place or author_place()
    warnings.append({"file": file, "line": line, "message": message, "hint": hint})


def nearest(word, known, cutoff=0.7):
    """The known word that is most like `word`, or None."""
    import difflib  # Only a file with a mistake in it pays for this.

    known = [k for k in known if isinstance(k, str)]
    by_lower = {k.lower(): k for k in known}
    found = difflib.get_close_matches(str(word).lower(), list(by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def did_you_mean(word, known, cutoff=0.7):
    """The same as a hint."""
    meant = nearest(word, known, cutoff)
    return "did you mean `%s`?" % meant if meant else None
