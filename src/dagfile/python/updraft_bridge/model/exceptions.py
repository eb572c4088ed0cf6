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


class TaskDeferred(BaseException):
    """A task that waits for a trigger, and how it goes on."""

    def __init__(self, *, trigger, method_name, kwargs=None, timeout=None):
        super().__init__()
        self.trigger, self.method_name, self.kwargs, self.timeout = trigger, method_name, kwargs, timeout
        if timeout is not None and not hasattr(timeout, "total_seconds"):
            raise ValueError("expected the timeout of a deferral to be a timedelta, got: %r" % (timeout,))


class TaskDeferralTimeout(AirflowException):
    pass


class TaskDeferralError(AirflowException):
    pass


class AirflowDagCycleException(AirflowException):
    pass


class AirflowDagInconsistent(AirflowException):
    pass


class AirflowClusterPolicyViolation(AirflowException):
    pass


class AirflowClusterPolicySkipDag(AirflowException):
    pass


class AirflowFileParseException(AirflowException):
    pass


class AirflowInternalRuntimeError(BaseException):
    pass


class AirflowRuntimeError(AirflowException):
    pass


class AirflowProviderDeprecationWarning(DeprecationWarning):
    pass


class AirflowWebServerException(AirflowException):
    pass


class AirflowWebServerTimeout(AirflowException):
    pass


class AirflowInactiveAssetInInletOrOutletException(AirflowException):
    pass


class BackfillUnfinished(AirflowException):
    pass


class ConnectionNotUnique(AirflowException):
    pass


class DagCodeNotFound(AirflowNotFoundException):
    pass


class DagFileExists(AirflowBadRequest):
    pass


class DagInvalidTriggerRule(AirflowException):
    pass


class DagConcurrencyLimitReached(AirflowException):
    pass


class DownstreamTasksSkipped(AirflowException):
    pass


class FailStopDagInvalidTriggerRule(AirflowException):
    pass


class NodeNotFound(AirflowNotFoundException):
    pass


class PoolNotFound(AirflowNotFoundException):
    pass


class SerializationError(AirflowException):
    pass


class TaskInstanceNotFound(AirflowNotFoundException):
    pass


class TaskAlreadyInTaskGroup(AirflowException):
    pass


class TaskConcurrencyLimitReached(AirflowException):
    pass


class TaskAlreadyRunningException(AirflowException):
    pass


class UnmappableXComTypePushed(AirflowException):
    pass


class UnmappableXComLengthPushed(AirflowException):
    pass


class VariableNotUnique(AirflowException):
    pass


class RemovedInAirflow4Warning(DeprecationWarning):
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
