"""`macros`: the small functions of templates, for code that imports them."""

import datetime as _datetime
import json
import random
import time
import uuid
from datetime import datetime, timedelta


def ds_add(ds, days):
    """`ds_add("2026-01-01", 5)` is `"2026-01-06"`."""
    return (datetime.strptime(str(ds), "%Y-%m-%d") + timedelta(days=days)).strftime("%Y-%m-%d")


def ds_format(ds, input_format, output_format):
    return datetime.strptime(str(ds), input_format).strftime(output_format)


def datetime_diff_for_humans(dt, since=None):
    """`3 days ago`, `in 2 hours`; with `since`, `3 days before` and `2 hours after`."""
    now = since or datetime.now(_datetime.timezone.utc)
    if dt.tzinfo is None:
        dt = dt.replace(tzinfo=_datetime.timezone.utc)
    if now.tzinfo is None:
        now = now.replace(tzinfo=_datetime.timezone.utc)
    seconds = int((dt - now).total_seconds())
    size = abs(seconds)
    for unit, length in (("year", 31536000), ("month", 2592000), ("week", 604800), ("day", 86400), ("hour", 3600),
                         ("minute", 60), ("second", 1)):
        if size >= length or unit == "second":
            n = size // length
            text = "%d %s%s" % (n, unit, "" if n == 1 else "s")
            break
    if since is not None:
        return text + (" before" if seconds < 0 else " after")
    return text + " ago" if seconds < 0 else "in " + text


def ds_format_locale(ds, input_format, output_format, locale=None):
    """Like `ds_format`: names of days and months are those of the interpreter's locale."""
    return ds_format(ds, input_format, output_format)


def __getattr__(name):
    # `macros.dateutil`, where the package is installed.
    if name == "dateutil":
        import dateutil
        import dateutil.parser
        import dateutil.relativedelta

        return dateutil
    raise AttributeError("module 'airflow.macros' has no attribute %r" % name)


__all__ = ["datetime", "ds_add", "ds_format", "datetime_diff_for_humans", "json", "random", "time", "timedelta", "uuid"]
