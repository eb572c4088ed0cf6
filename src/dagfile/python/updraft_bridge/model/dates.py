"""Instants and zones: `days_ago`, `airflow.utils.timezone`, and the dates of a context."""

import datetime
import sys

utc = datetime.timezone.utc


def pendulum_module():
    """The real pendulum if the author's code loaded it, else our stand-in."""
    loaded = sys.modules.get("pendulum")
    if loaded is not None:
        return loaded
    from .. import pendulum_stand_in

    return pendulum_stand_in


def instant(text):
    """A pendulum-like DateTime in UTC from ISO 8601; None from None."""
    if text is None:
        return None
    value = from_iso(text)
    if value.tzinfo is None:
        value = value.replace(tzinfo=utc)
    return pendulum_module().instance(value.astimezone(utc), tz="UTC")


def from_iso(text):
    """`datetime.fromisoformat` with a `Z`, a space for the `T` and any number of digits, in every Python version."""
    text = text.strip()
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    if "." in text:
        head, tail = text.split(".", 1)
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = "%s.%s%s" % (head, tail[:digits][:6].ljust(6, "0"), tail[digits:])
    return datetime.datetime.fromisoformat(text)


def zone_of(value):
    """The zone of a datetime; None for a naive one."""
    return getattr(value, "tzinfo", None)


def zone_name(tzinfo):
    """The IANA name of a zone, or None for one without a name."""
    for attribute in ("key", "zone", "name"):
        name = getattr(tzinfo, attribute, None)
        if isinstance(name, str) and name:
            return "UTC" if name in ("+00:00", "Z") else name
    if tzinfo == utc:
        return "UTC"
    if isinstance(tzinfo, datetime.timezone):
        seconds = tzinfo.utcoffset(None).total_seconds()
        if seconds % 3600 == 0 and -12 <= seconds / 3600 <= 14:
            # POSIX counts these westward: UTC+2 is Etc/GMT-2.
            return "Etc/GMT%+d" % (-seconds / 3600)
    text = str(tzinfo)
    return text if "/" in text else None


# -- airflow.utils.dates

def days_ago(n, hour=0, minute=0, second=0, microsecond=0):
    today = datetime.datetime.now(utc).replace(hour=hour, minute=minute, second=second, microsecond=microsecond)
    return today - datetime.timedelta(days=n)


def date_range(start_date, end_date=None, num=None, delta=None):
    dates = []
    if isinstance(delta, (int, float)):
        delta = datetime.timedelta(seconds=delta)
    while delta and (end_date is not None and start_date <= end_date or num is not None and len(dates) < num):
        dates.append(start_date)
        start_date += delta
    return dates


cron_presets = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}


# -- airflow.utils.timezone

def utcnow():
    return pendulum_module().now("UTC")


def make_aware(value, timezone=None):
    zone = pendulum_module().timezone(timezone) if isinstance(timezone, str) else timezone or utc
    return value if value is None or value.tzinfo is not None else value.replace(tzinfo=zone)


def make_naive(value, timezone=None):
    return value.astimezone(timezone or utc).replace(tzinfo=None)


def is_localized(value):
    return value.utcoffset() is not None


def is_naive(value):
    return not is_localized(value)


def convert_to_utc(value):
    if value is None:
        return None
    return pendulum_module().instance(make_aware(value).astimezone(utc), tz="UTC")


def parse(string, timezone=None, strict=False):
    return convert_to_utc(make_aware(from_iso(string), timezone))


def aware_datetime(*args, **kwargs):
    kwargs.setdefault("tzinfo", utc)
    return datetime.datetime(*args, **kwargs)


def coerce_datetime(value, tz=None):
    return make_aware(value, tz)


def parse_timezone(name):
    return pendulum_module().timezone(name)


def local_timezone():
    return pendulum_module().timezone("UTC")
