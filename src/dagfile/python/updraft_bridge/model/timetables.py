"""Timetable objects, which only carry what they were given."""


class Timetable:
    """The base of an author's own timetable; those come later."""


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
