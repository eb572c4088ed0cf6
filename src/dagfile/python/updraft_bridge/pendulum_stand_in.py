"""The part of pendulum that DAG files use, for machines without it.

Datetimes are real `datetime` objects with pendulum's methods; zones are
`zoneinfo`. A method that is not here raises the usual AttributeError.
"""

import calendar
import datetime as _dt
import re as _re

__version__ = "3.0.0"

_utc = _dt.timezone.utc


class Timezone(_dt.tzinfo):
    """A zone by name; knows its `name` as pendulum's does."""

    def __init__(self, name):
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        self.name = name
        if name in ("UTC", "utc", "Z", "+00:00"):
            self.name, self._zone = "UTC", _utc
            return
        try:
            self._zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("unknown time zone %r" % name) from None

    def utcoffset(self, moment):
        return self._zone.utcoffset(self._in_zone(moment))

    def dst(self, moment):
        return self._zone.dst(self._in_zone(moment))

    def tzname(self, moment):
        return self._zone.tzname(self._in_zone(moment))

    def fromutc(self, moment):
        there = self._zone.fromutc(_plain(moment).replace(tzinfo=self._zone))
        return moment.replace(
            year=there.year, month=there.month, day=there.day, hour=there.hour, minute=there.minute,
            second=there.second, microsecond=there.microsecond, fold=there.fold, tzinfo=self,
        )

    def _in_zone(self, moment):
        return None if moment is None else _plain(moment).replace(tzinfo=self._zone)

    def convert(self, moment):
        return instance(moment).in_timezone(self)

    def datetime(self, *args, **kwargs):
        return DateTime(*args, tzinfo=self, **kwargs)

    def __eq__(self, other):
        return isinstance(other, Timezone) and self.name == other.name

    def __hash__(self):
        return hash(self.name)

    def __repr__(self):
        return "Timezone(%r)" % self.name

    def __str__(self):
        return self.name

    def __reduce__(self):
        return Timezone, (self.name,)


def _plain(moment):
    return _dt.datetime(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second,
                        moment.microsecond, fold=moment.fold)


_zones = {}


def timezone(name):
    """The zone of that name, or of an offset in seconds."""
    if isinstance(name, (int, float)):
        return _dt.timezone(_dt.timedelta(seconds=name))
    if isinstance(name, _dt.tzinfo):
        return name
    if name not in _zones:
        _zones[name] = Timezone(name)
    return _zones[name]


def fixed_timezone(seconds):
    return timezone(seconds)


UTC = timezone("UTC")
utc = UTC


def local_timezone():
    return UTC


class Duration(_dt.timedelta):
    """A timedelta that also takes months (of 30 days) and years (of 365), as pendulum counts them."""

    def __new__(cls, days=0, seconds=0, microseconds=0, milliseconds=0, minutes=0, hours=0, weeks=0, years=0, months=0):
        made = super().__new__(cls, days + years * 365 + months * 30, seconds, microseconds, milliseconds, minutes,
                               hours, weeks)
        made.years, made.months = years, months
        return made

    def total_minutes(self):
        return self.total_seconds() / 60

    def total_hours(self):
        return self.total_seconds() / 3600

    def total_days(self):
        return self.total_seconds() / 86400

    def total_weeks(self):
        return self.total_days() / 7

    def in_seconds(self):
        return int(self.total_seconds())

    def in_minutes(self):
        return int(self.total_minutes())

    def in_hours(self):
        return int(self.total_hours())

    def in_days(self):
        return int(self.total_days())

    def in_weeks(self):
        return int(self.total_weeks())

    def as_timedelta(self):
        return _dt.timedelta(seconds=self.total_seconds())

    def in_words(self, locale=None):
        return _in_words(abs(self.total_seconds()))


class Interval(Duration):
    """The time between two moments; `range` steps through it."""

    def __new__(cls, start, end, absolute=False):
        if absolute and end < start:
            start, end = end, start
        made = super().__new__(cls, seconds=_dt.datetime.__sub__(end, start).total_seconds())
        made.start, made.end = start, end
        return made

    def range(self, unit, amount=1):
        moment, step = self.start, 0
        while moment <= self.end:
            yield moment
            step += amount
            moment = self.start.add(**{unit: step})

    def __contains__(self, moment):
        return self.start <= moment <= self.end

    def __reduce__(self):
        return type(self), (self.start, self.end)


Period = Interval


def _in_words(seconds):
    """The largest unit alone, as in `2 days`."""
    for unit, length in (("year", 31536000), ("month", 2592000), ("week", 604800), ("day", 86400), ("hour", 3600),
                         ("minute", 60)):
        if seconds >= length:
            n = int(seconds // length)
            return "%d %s%s" % (n, unit, "" if n == 1 else "s")
    return "%d second%s" % (int(seconds), "" if int(seconds) == 1 else "s")


class DateTime(_dt.datetime):
    """A datetime with pendulum's methods."""

    @classmethod
    def _of(cls, moment):
        return cls(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second,
                   moment.microsecond, tzinfo=moment.tzinfo, fold=moment.fold)

    @classmethod
    def now(cls, tz=None):
        return now(tz or UTC)

    # -- arithmetic

    def add(self, years=0, months=0, weeks=0, days=0, hours=0, minutes=0, seconds=0, microseconds=0):
        month = self.month - 1 + months + 12 * years
        year, month = self.year + month // 12, month % 12 + 1
        day = min(self.day, calendar.monthrange(year, month)[1])
        # Days keep the wall clock, hours keep the distance in time, as pendulum does.
        moved = self.replace(year=year, month=month, day=day)
        moved = DateTime._of(_dt.datetime.__add__(moved, _dt.timedelta(weeks=weeks, days=days)))
        length = _dt.timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
        if not length:
            return moved
        if moved.tzinfo is None:
            return DateTime._of(_dt.datetime.__add__(moved, length))
        there = _dt.datetime.__add__(moved.astimezone(_utc), length)
        return DateTime._of(there.astimezone(moved.tzinfo))

    def subtract(self, **lengths):
        return self.add(**{unit: -n for unit, n in lengths.items()})

    def __add__(self, other):
        if isinstance(other, Duration) and (other.months or other.years):
            rest = other.as_timedelta() - _dt.timedelta(days=other.years * 365 + other.months * 30)
            return self.add(years=other.years, months=other.months) + rest
        added = super().__add__(other)
        return added if added is NotImplemented else DateTime._of(added)

    __radd__ = __add__

    def __sub__(self, other):
        if isinstance(other, _dt.datetime):
            return Interval(instance(other, tz=None), self)
        if isinstance(other, Duration) and (other.months or other.years):
            rest = other.as_timedelta() - _dt.timedelta(days=other.years * 365 + other.months * 30)
            return self.subtract(years=other.years, months=other.months) - rest
        less = super().__sub__(other)
        return less if less is NotImplemented else DateTime._of(less)

    def diff(self, other=None, abs=True):
        return Interval(self, other or now(self.tzinfo), abs)

    def diff_for_humans(self, other=None, absolute=False, locale=None):
        length = _dt.datetime.__sub__(self, other or now(self.tzinfo)).total_seconds()
        words = _in_words(length if length >= 0 else -length)
        if absolute:
            return words
        if other is not None:
            return words + (" after" if length >= 0 else " before")
        return "in " + words if length >= 0 else words + " ago"

    # -- zones

    def in_timezone(self, tz):
        return DateTime._of(self.astimezone(timezone(tz)))

    in_tz = in_timezone

    def astimezone(self, tz=None):
        return DateTime._of(super().astimezone(tz))

    @property
    def timezone(self):
        return self.tzinfo

    @property
    def timezone_name(self):
        return getattr(self.tzinfo, "name", None) or str(self.tzinfo)

    def naive(self):
        return self.replace(tzinfo=None)

    # -- parts

    def set(self, tz=None, **parts):
        return DateTime._of(self.replace(**parts) if tz is None else self.replace(tzinfo=timezone(tz), **parts))

    def at(self, hour, minute=0, second=0, microsecond=0):
        return self.set(hour=hour, minute=minute, second=second, microsecond=microsecond)

    def on(self, year, month, day):
        return self.set(year=year, month=month, day=day)

    def start_of(self, unit):
        zero = {"microsecond": 0}
        for name in ("second", "minute", "hour"):
            if unit == name:
                return self.set(**zero)
            zero[name] = 0
        if unit == "day":
            return self.set(**zero)
        if unit == "week":
            return self.set(**zero).subtract(days=self.weekday())
        if unit == "month":
            return self.set(day=1, **zero)
        if unit == "quarter":
            return self.set(day=1, month=(self.month - 1) // 3 * 3 + 1, **zero)
        if unit == "year":
            return self.set(day=1, month=1, **zero)
        raise ValueError("expected second, minute, hour, day, week, month, quarter or year, got: %r" % unit)

    def next(self, day_of_week=None, keep_time=False):
        return self._day_beside(day_of_week, 1, keep_time)

    def previous(self, day_of_week=None, keep_time=False):
        return self._day_beside(day_of_week, -1, keep_time)

    def _day_beside(self, day_of_week, step, keep_time):
        wanted = self.weekday() if day_of_week is None else int(day_of_week)
        moment = (self if keep_time else self.start_of("day")).add(days=step)
        while moment.weekday() != wanted:
            moment = moment.add(days=step)
        return moment

    def first_of(self, unit, day_of_week=None):
        first = self.start_of(unit)
        return first if day_of_week is None or first.weekday() == day_of_week else first.next(day_of_week)

    def last_of(self, unit, day_of_week=None):
        last = self.end_of(unit).start_of("day")
        return last if day_of_week is None or last.weekday() == day_of_week else last.previous(day_of_week)

    def is_same_day(self, other):
        return self.date() == other.date()

    def is_leap_year(self):
        return calendar.isleap(self.year)

    @property
    def offset(self):
        return int(self.utcoffset().total_seconds())

    @property
    def offset_hours(self):
        return self.offset / 3600

    @property
    def tz(self):
        return self.tzinfo

    @property
    def week_of_month(self):
        return (self.day + self.replace(day=1).weekday() - 1) // 7 + 1

    def end_of(self, unit):
        step = {"months": 3} if unit == "quarter" else {unit + "s": 1}
        return self.start_of(unit).add(**step).subtract(microseconds=1)

    @property
    def day_of_week(self):
        return self.weekday()

    @property
    def day_of_year(self):
        return self.timetuple().tm_yday

    @property
    def week_of_year(self):
        return self.isocalendar()[1]

    @property
    def days_in_month(self):
        return calendar.monthrange(self.year, self.month)[1]

    @property
    def quarter(self):
        return (self.month - 1) // 3 + 1

    @property
    def int_timestamp(self):
        return int(self.timestamp())

    @property
    def float_timestamp(self):
        return self.timestamp()

    def is_past(self):
        return self < now(self.tzinfo)

    def is_future(self):
        return self > now(self.tzinfo)

    # -- texts

    def to_date_string(self):
        return self.strftime("%Y-%m-%d")

    def to_time_string(self):
        return self.strftime("%H:%M:%S")

    def to_datetime_string(self):
        return self.strftime("%Y-%m-%d %H:%M:%S")

    def to_iso8601_string(self):
        text = self.isoformat()
        return text[:-6] + "Z" if text.endswith("+00:00") else text

    to_rfc3339_string = _dt.datetime.isoformat

    def format(self, pattern, locale=None):
        """pendulum's tokens: YYYY MM DD HH mm ss and their relatives; text in [brackets] stays."""
        offset = self.strftime("%z")
        values = {
            "YYYY": "%04d" % self.year, "YY": "%02d" % (self.year % 100), "Y": str(self.year),
            "MMMM": self.strftime("%B"), "MMM": self.strftime("%b"), "MM": "%02d" % self.month, "M": str(self.month),
            "DDDD": "%03d" % self.day_of_year, "DDD": str(self.day_of_year), "DD": "%02d" % self.day,
            "D": str(self.day), "dddd": self.strftime("%A"), "ddd": self.strftime("%a"),
            "HH": "%02d" % self.hour, "H": str(self.hour), "hh": self.strftime("%I"), "h": str(self.hour % 12 or 12),
            "mm": "%02d" % self.minute, "m": str(self.minute), "ss": "%02d" % self.second, "s": str(self.second),
            "SSSSSS": "%06d" % self.microsecond, "SSS": "%03d" % (self.microsecond // 1000),
            "A": self.strftime("%p"), "ZZ": offset, "Z": offset[:3] + ":" + offset[3:5], "X": str(self.int_timestamp),
            "zz": self.timezone_name, "z": self.timezone_name, "Q": str(self.quarter),
        }
        tokens = sorted(values, key=len, reverse=True)
        return _re.sub(
            r"\[([^\]]*)\]|(%s)" % "|".join(tokens),
            lambda found: found.group(1) if found.group(2) is None else values[found.group(2)], pattern,
        )

    def __str__(self):
        return self.isoformat(" ")

    def date(self):
        return Date(self.year, self.month, self.day)


class Date(_dt.date):
    def to_date_string(self):
        return self.strftime("%Y-%m-%d")

    def add(self, years=0, months=0, weeks=0, days=0):
        return datetime(self.year, self.month, self.day).add(years, months, weeks, days).date()

    def subtract(self, **lengths):
        return self.add(**{unit: -n for unit, n in lengths.items()})


Time = _dt.time
Pendulum = DateTime


def time(hour, minute=0, second=0, microsecond=0):
    return Time(hour, minute, second, microsecond)


def datetime(year, month, day, hour=0, minute=0, second=0, microsecond=0, tz=UTC, fold=1, **kwargs):
    return DateTime(year, month, day, hour, minute, second, microsecond,
                    tzinfo=None if tz is None else timezone(tz), fold=fold)


def local(year, month, day, hour=0, minute=0, second=0, microsecond=0):
    return datetime(year, month, day, hour, minute, second, microsecond, tz=local_timezone())


def naive(year, month, day, hour=0, minute=0, second=0, microsecond=0):
    return datetime(year, month, day, hour, minute, second, microsecond, tz=None)


def date(year, month, day):
    return Date(year, month, day)


def duration(**kwargs):
    return Duration(**kwargs)


def interval(start, end, absolute=False):
    return Interval(instance(start), instance(end), absolute)


period = interval


def instance(moment, tz=UTC):
    if isinstance(moment, DateTime) and (moment.tzinfo is not None or tz is None):
        return moment
    if not isinstance(moment, _dt.datetime):
        moment = _dt.datetime(moment.year, moment.month, moment.day)
    zone = moment.tzinfo
    if zone is None:
        zone = None if tz is None else timezone(tz)
    elif zone == _utc:
        zone = UTC
    return DateTime._of(moment.replace(tzinfo=zone))


def now(tz=None):
    return DateTime._of(_dt.datetime.now(_utc).astimezone(timezone(tz or UTC)))


def today(tz=None):
    return now(tz).start_of("day")


def yesterday(tz=None):
    return today(tz).subtract(days=1)


def tomorrow(tz=None):
    return today(tz).add(days=1)


def from_timestamp(timestamp, tz=UTC):
    return DateTime._of(_dt.datetime.fromtimestamp(timestamp, _utc).astimezone(timezone(tz)))


def parse(text, tz=UTC, **options):
    """ISO 8601, also as 20260131, 20260131T060000 and 2026-01."""
    from .model.dates import from_iso

    compact = _re.fullmatch(r"(\d{4})-?(\d{2})(?:-?(\d{2})(?:[T ]?(\d{2}):?(\d{2})(?::?(\d{2}))?)?)?", text.strip())
    if compact:
        parts = [int(part) for part in compact.groups(default="0")]
        parts[2] = parts[2] or 1
        return datetime(*parts, tz=tz)
    return instance(from_iso(text), tz=tz)


def from_format(text, pattern, tz=UTC, locale=None):
    tokens = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "SSSSSS": "%f",
              "MMMM": "%B", "MMM": "%b", "ZZ": "%z", "Z": "%z", "A": "%p", "hh": "%I", "M": "%m", "D": "%d", "H": "%H"}
    wanted = _re.sub("|".join(sorted(tokens, key=len, reverse=True)), lambda found: tokens[found.group()], pattern)
    return instance(_dt.datetime.strptime(text, wanted), tz=tz)


MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)


class tz:
    """`pendulum.tz`, as far as `pendulum.tz.timezone(...)` needs it."""

    timezone = staticmethod(timezone)
    UTC = UTC
    Timezone = Timezone
    local_timezone = staticmethod(local_timezone)
    fixed_timezone = staticmethod(fixed_timezone)
