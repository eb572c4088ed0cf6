"""The exceptions that Airflow's users raise and catch."""


class AirflowException(Exception):
    """Any error of a task or a DAG file."""


class AirflowBadRequest(AirflowException):
    pass


class AirflowNotFoundException(AirflowException):
    pass


class AirflowConfigException(AirflowException):
    pass


class AirflowFailException(AirflowException):
    """The task fails and is not tried again."""


class AirflowSkipException(AirflowException):
    """The task is skipped."""


class AirflowTaskTimeout(BaseException):
    """The task took longer than its `execution_timeout`."""


class AirflowTaskTerminated(BaseException):
    """The task was told to end."""


class AirflowSensorTimeout(AirflowException):
    """A sensor waited longer than its `timeout`."""


class AirflowRescheduleException(AirflowException):
    def __init__(self, reschedule_date):
        super().__init__(reschedule_date)
        self.reschedule_date = reschedule_date


class AirflowDagCycleException(AirflowException):
    pass


class AirflowDagDuplicatedIdException(AirflowException):
    pass


class AirflowTimetableInvalid(AirflowException):
    pass


class AirflowOptionalProviderFeatureException(AirflowException):
    pass


class DuplicateTaskIdFound(AirflowException):
    pass


class TaskNotFound(AirflowNotFoundException):
    pass


class DagNotFound(AirflowNotFoundException):
    pass


class DagRunNotFound(AirflowNotFoundException):
    pass


class DagRunAlreadyExists(AirflowBadRequest):
    pass


class XComNotFound(AirflowException):
    pass


class ParamValidationError(AirflowException):
    pass


class RemovedInAirflow3Warning(DeprecationWarning):
    pass


class ComesLater(AirflowFailException):
    """Something of Airflow's that this version of Updraft loads but cannot run yet.

    Not retryable: trying again cannot help.
    """


# A traceback names them as their users know them.
for _thing in list(vars().values()):
    if isinstance(_thing, type):
        _thing.__module__ = "airflow.exceptions"
