"""Timetable objects, which only carry what they were given."""


import collections

DataInterval = collections.namedtuple("DataInterval", "start end")
DataInterval.exact = classmethod(lambda cls, at: cls(at, at))
TimeRestriction = collections.namedtuple("TimeRestriction", "earliest latest catchup")


class DagRunInfo(collections.namedtuple("DagRunInfo", "run_after data_interval")):
    """When a timetable of an author's own wants a run."""

    @classmethod
    def exact(cls, at):
        return cls(at, DataInterval(at, at))

    @classmethod
    def interval(cls, start, end):
        return cls(end, DataInterval(start, end))

    @property
    def logical_date(self):
        return self.data_interval.start


class Timetable:
    """The base of an author's own timetable. Such a DAG loads and runs when it is triggered."""

    description, periodic, can_be_scheduled, active_runs_limit = "", True, True, None

    @property
    def summary(self):
        return type(self).__name__

    def serialize(self):
        return {}

    @classmethod
    def deserialize(cls, data):
        return cls()

    def validate(self):
        pass


class NullTimetable(Timetable):
    pass


class OnceTimetable(Timetable):
    pass


class ContinuousTimetable(Timetable):
    pass


class CronDataIntervalTimetable(Timetable):
    data_interval = True

    def __init__(self, cron, timezone="UTC", **kwargs):
        self.cron, self.timezone = cron, timezone


class CronTriggerTimetable(CronDataIntervalTimetable):
    data_interval = False

    def __init__(self, cron, *, timezone="UTC", interval=None, run_immediately=False):
        super().__init__(cron, timezone)


class DeltaDataIntervalTimetable(Timetable):
    data_interval = True

    def __init__(self, delta):
        self.delta = delta


class DeltaTriggerTimetable(DeltaDataIntervalTimetable):
    data_interval = False

    def __init__(self, delta, *, interval=None):
        super().__init__(delta)


class MultipleCronTriggerTimetable(Timetable):
    """Several cron expressions at once, where one expression can say the same: they differ in one field."""

    def __init__(self, *crons, timezone="UTC", interval=None, run_immediately=False):
        if not crons:
            raise ValueError("cron expression required")
        self.crons, self.timezone = list(crons), timezone
        one = merged(self.crons)
        if one is not None:
            self.cron, self.data_interval = one, False


def merged(crons):
    """`0 6 * * *` and `0 18 * * *` are `0 6,18 * * *`; None where no single expression says it."""
    split = [cron.split() for cron in dict.fromkeys(crons)]
    if len(split) == 1:
        return crons[0]
    if len({len(fields) for fields in split}) != 1:
        return None
    columns = [list(dict.fromkeys(column)) for column in zip(*split)]
    if sum(len(column) > 1 for column in columns) != 1 or any("*" in column for column in columns if len(column) > 1):
        return None
    return " ".join(",".join(column) for column in columns)


class EventsTimetable(Timetable):
    """Runs at these moments."""

    def __init__(self, event_dates, restrict_to_events=False, presorted=False, description=None):
        self.event_dates = list(event_dates)
        self.description = description or "%d events" % len(self.event_dates)
