"""What a function takes and returns, also where its annotations name what only a type checker knows.

From Python 3.14 on, annotations are evaluated when they are looked at, and a
name that is imported under `TYPE_CHECKING` would be an error then.
"""

import inspect
import sys

if sys.version_info >= (3, 14):
    import annotationlib

    def signature(function):
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)

    def annotations(function):
        return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
else:
    signature = inspect.signature

    def annotations(function):
        return getattr(function, "__annotations__", {})
