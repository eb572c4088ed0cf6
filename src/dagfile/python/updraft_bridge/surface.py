"""The table of names: which module of Airflow's holds which names, in every era's spelling.

To add a name, add it to `NAMES` and to the modules that export it. To add a
module's old path, add it to `ALIASES`. Nothing here imports anything.
"""

_MODEL = "updraft_bridge.model."

# Where each name that works is made: name -> module of ours (the attribute has the same name unless given).
NAMES = {
    "DAG": "dag", "dag": "dag",
    "BaseOperator": "operator",
    "BashOperator": "operators", "EmptyOperator": "operators", "DummyOperator": "operators",
    "PythonOperator": "operators",
    "PythonVirtualenvOperator": "virtualenv", "ExternalPythonOperator": "virtualenv",
    "BranchPythonVirtualenvOperator": "virtualenv", "BranchExternalPythonOperator": "virtualenv",
    "HttpOperator": "native", "SimpleHttpOperator": "native", "SQLExecuteQueryOperator": "native",
    "PostgresOperator": "native", "MySqlOperator": "native", "SqliteOperator": "native", "EmailOperator": "native",
    "TriggerDagRunOperator": "native", "ExternalTaskMarker": "native", "fetch_all_handler": "native",
    "fetch_one_handler": "native",
    "BaseSensorOperator": "sensors", "PokeReturnValue": "sensors", "poke_mode_only": "sensors",
    "FileSensor": "sensors", "HttpSensor": "sensors", "SqlSensor": "sensors", "SQLSensor": "sensors",
    "TimeSensor": "sensors", "TimeSensorAsync": "sensors", "TimeDeltaSensor": "sensors",
    "TimeDeltaSensorAsync": "sensors", "DateTimeSensor": "sensors", "DateTimeSensorAsync": "sensors",
    "ExternalTaskSensor": "sensors", "PythonSensor": "sensors", "BashSensor": "sensors", "DayOfWeekSensor": "sensors",
    "BranchPythonOperator": "branching", "ShortCircuitOperator": "branching", "BaseBranchOperator": "branching",
    "BranchDateTimeOperator": "branching", "BranchDayOfWeekOperator": "branching", "LatestOnlyOperator": "branching",
    "SkipMixin": "branching", "BranchMixIn": "branching",
    "task": "taskflow", "task_group": "taskflow", "setup": "taskflow", "teardown": "taskflow",
    "TaskGroup": "task_group",
    "XComArg": "xcom_arg", "PlainXComArg": "xcom_arg:XComArg",
    "chain": "edge", "chain_linear": "edge", "cross_downstream": "edge", "Label": "edge", "EdgeModifier": "edge",
    "TriggerRule": "words", "WeightRule": "words", "State": "words", "TaskInstanceState": "words",
    "DagRunState": "words", "DagRunType": "words", "WeekDay": "words",
    "Param": "param", "ParamsDict": "param", "DagParam": "param",
    "Variable": "store_values", "Connection": "store_values", "BaseHook": "store_values",
    "get_current_context": "context", "Context": "context",
    "AirflowException": "exceptions", "AirflowFailException": "exceptions", "AirflowSkipException": "exceptions",
    "Asset": "asset", "Dataset": "asset", "Model": "asset", "AssetAlias": "asset", "DatasetAlias": "asset:AssetAlias",
    "AssetAll": "asset", "AssetAny": "asset", "DatasetAll": "asset:AssetAll", "DatasetAny": "asset:AssetAny",
    "AssetWatcher": "asset", "AssetOrTimeSchedule": "asset", "DatasetOrTimeSchedule": "asset", "Metadata": "asset",
    "asset": "asset", "AssetEvent": "asset", "DatasetEvent": "asset:AssetEvent",
    "macros": "macros:",
    "timezone": "timezone:",
    "days_ago": "dates",
    "CronDataIntervalTimetable": "timetables", "CronTriggerTimetable": "timetables",
    "DeltaDataIntervalTimetable": "timetables", "DeltaTriggerTimetable": "timetables", "Timetable": "timetables",
    "cached_property": "compat", "apply_defaults": "compat", "conf": "compat", "LoggingMixin": "compat",
    "version": "compat", "provide_session": "compat",
    "SmtpNotifier": "callbacks", "send_smtp_notification": "callbacks",
    "BaseNotifier": "callbacks", "DeadlineAlert": "callbacks", "DeadlineReference": "callbacks",
    "AsyncCallback": "callbacks", "SyncCallback": "callbacks",
}

# Names that load, keep their place in the graph, and cannot run in this version.
LATER = set(
    "SubDagOperator "
    "BaseOperatorLink BaseXCom XCom ObjectStoragePath DagRun TaskInstance "
    "DagModel DagBag DagTag Log TaskReschedule TaskFail SlaMiss Job BaseJob RenderedTaskInstanceFields Pool "
    "AirflowPlugin EventsTimetable MultipleCronTriggerTimetable "
    "get_parsing_context literal send_email create_session trigger_dag get_task_instance clear_task_instances "
    "SQLColumnCheckOperator SQLTableCheckOperator SQLCheckOperator SQLValueCheckOperator SQLIntervalCheckOperator "
    "SQLThresholdCheckOperator BranchSQLOperator BaseSQLOperator SQLInsertRowsOperator DbApiHook "
    "FSHook SubprocessHook BaseSecretsBackend BaseTrigger TriggerEvent Session".split()
)

_OPERATORS = "BaseOperator chain chain_linear cross_downstream"
_EXCEPTIONS = "*exceptions"

# Module -> its names: those of NAMES or LATER; `*x` is everything public in our module x.
MODULES = {
    "airflow": "DAG Dataset Asset AssetAlias XComArg macros conf version dag task",
    "airflow.sdk": (
        "DAG dag task task_group setup teardown TaskGroup BaseOperator BaseSensorOperator BaseHook Variable Connection "
        "Param ParamsDict XComArg Context get_current_context chain chain_linear cross_downstream Label EdgeModifier "
        "TriggerRule WeightRule TaskInstanceState DagRunState Asset AssetAlias AssetAll AssetAny AssetOrTimeSchedule "
        "AssetWatcher Metadata Model BaseNotifier BaseOperatorLink BaseXCom PokeReturnValue ObjectStoragePath asset "
        "get_parsing_context literal macros conf timezone CronDataIntervalTimetable CronTriggerTimetable "
        "DeltaDataIntervalTimetable DeltaTriggerTimetable EventsTimetable MultipleCronTriggerTimetable "
        "DeadlineAlert DeadlineReference AsyncCallback SyncCallback"
    ),
    "airflow.sdk.definitions.deadline": "DeadlineAlert DeadlineReference AsyncCallback SyncCallback",
    "airflow.sdk.definitions.callback": "AsyncCallback SyncCallback",
    "airflow.sdk.exceptions": _EXCEPTIONS,
    "airflow.exceptions": _EXCEPTIONS,
    "airflow.sdk.timezone": "*timezone",
    "airflow.decorators": "dag task task_group setup teardown",
    "airflow.models": (
        "DAG BaseOperator Variable Connection Param XComArg XCom DagRun TaskInstance DagModel DagBag DagTag Log "
        "TaskReschedule TaskFail SlaMiss Pool SkipMixin BaseOperatorLink RenderedTaskInstanceFields"
    ),
    "airflow.models.dag": "DAG dag DagModel DagTag",
    "airflow.models.baseoperator": _OPERATORS + " BaseOperatorLink",
    "airflow.models.variable": "Variable",
    "airflow.models.connection": "Connection",
    "airflow.models.param": "Param ParamsDict DagParam",
    "airflow.models.xcom": "XCom BaseXCom",
    "airflow.models.xcom_arg": "XComArg PlainXComArg",
    "airflow.models.dagrun": "DagRun",
    "airflow.models.dagbag": "DagBag",
    "airflow.models.taskinstance": "TaskInstance Context clear_task_instances",
    "airflow.models.skipmixin": "SkipMixin",
    "airflow.providers.standard.utils.skipmixin": "SkipMixin",
    "airflow.models.pool": "Pool",
    "airflow.models.log": "Log",
    "airflow.models.taskreschedule": "TaskReschedule",
    "airflow.models.taskfail": "TaskFail",
    "airflow.models.renderedtifields": "RenderedTaskInstanceFields",
    "airflow.jobs.job": "Job",
    "airflow.jobs.base_job": "BaseJob",
    "airflow.operators": "",
    "airflow.operators.bash": "BashOperator",
    "airflow.operators.python": (
        "PythonOperator BranchPythonOperator ShortCircuitOperator PythonVirtualenvOperator ExternalPythonOperator "
        "BranchExternalPythonOperator BranchPythonVirtualenvOperator SkipMixin get_current_context task"
    ),
    "airflow.operators.empty": "EmptyOperator",
    "airflow.operators.dummy": "DummyOperator EmptyOperator",
    "airflow.operators.branch": "BaseBranchOperator BranchMixIn",
    "airflow.operators.datetime": "BranchDateTimeOperator",
    "airflow.operators.weekday": "BranchDayOfWeekOperator",
    "airflow.operators.latest_only": "LatestOnlyOperator",
    "airflow.operators.trigger_dagrun": "TriggerDagRunOperator",
    "airflow.operators.subdag": "SubDagOperator",
    "airflow.operators.email": "EmailOperator",
    "airflow.sensors": "",
    "airflow.sensors.base": "BaseSensorOperator PokeReturnValue poke_mode_only",
    "airflow.providers.http.operators.http": "HttpOperator SimpleHttpOperator",
    "airflow.providers.http.sensors.http": "HttpSensor",
    "airflow.providers.common.sql.operators.sql": (
        "SQLExecuteQueryOperator SQLColumnCheckOperator SQLTableCheckOperator SQLCheckOperator SQLValueCheckOperator "
        "SQLIntervalCheckOperator SQLThresholdCheckOperator BranchSQLOperator BaseSQLOperator SQLInsertRowsOperator"
    ),
    "airflow.providers.common.sql.sensors.sql": "SqlSensor",
    "airflow.providers.common.sql.hooks.handlers": "fetch_all_handler fetch_one_handler",
    "airflow.providers.common.sql.hooks.sql": "DbApiHook fetch_all_handler fetch_one_handler",
    "airflow.providers.postgres.operators.postgres": "PostgresOperator",
    "airflow.providers.mysql.operators.mysql": "MySqlOperator",
    "airflow.providers.sqlite.operators.sqlite": "SqliteOperator",
    "airflow.providers.smtp.operators.smtp": "EmailOperator",
    "airflow.providers.smtp.notifications.smtp": "SmtpNotifier send_smtp_notification",
    "airflow.sensors.external_task": "ExternalTaskSensor ExternalTaskMarker",
    "airflow.sensors.filesystem": "FileSensor",
    "airflow.sensors.python": "PythonSensor",
    "airflow.sensors.bash": "BashSensor",
    "airflow.sensors.time": "TimeSensor TimeSensorAsync",
    "airflow.sensors.time_delta": "TimeDeltaSensor TimeDeltaSensorAsync",
    "airflow.sensors.date_time": "DateTimeSensor DateTimeSensorAsync",
    "airflow.sensors.weekday": "DayOfWeekSensor",
    "airflow.hooks": "",
    "airflow.hooks.base": "BaseHook",
    "airflow.hooks.filesystem": "FSHook",
    "airflow.hooks.subprocess": "SubprocessHook",
    "airflow.timetables": "",
    "airflow.timetables.base": "Timetable",
    "airflow.timetables.interval": "CronDataIntervalTimetable DeltaDataIntervalTimetable",
    "airflow.timetables.trigger": "CronTriggerTimetable DeltaTriggerTimetable MultipleCronTriggerTimetable",
    "airflow.timetables.events": "EventsTimetable",
    "airflow.timetables.datasets": "DatasetOrTimeSchedule",
    "airflow.timetables.assets": "AssetOrTimeSchedule",
    "airflow.datasets": "Dataset DatasetAlias DatasetAll DatasetAny",
    "airflow.datasets.metadata": "Metadata",
    "airflow.models.dataset": "DatasetEvent",
    "airflow.models.asset": "AssetEvent",
    "airflow.sdk.definitions.asset": "Asset AssetAlias AssetAll AssetAny AssetWatcher Dataset Model",
    "airflow.sdk.definitions.asset.metadata": "Metadata",
    "airflow.sdk.definitions.asset.decorators": "asset",
    "airflow.notifications": "",
    "airflow.notifications.basenotifier": "BaseNotifier",
    "airflow.plugins_manager": "AirflowPlugin",
    "airflow.secrets": "BaseSecretsBackend",
    "airflow.triggers": "",
    "airflow.triggers.base": "BaseTrigger TriggerEvent",
    "airflow.configuration": "conf",
    "airflow.settings": "Session",
    "airflow.macros": "*macros",
    "airflow.version": "version",
    "airflow.compat": "",
    "airflow.compat.functools": "cached_property",
    "airflow.api": "",
    "airflow.api.common": "",
    "airflow.api.common.trigger_dag": "trigger_dag",
    "airflow.utils": "timezone",
    "airflow.utils.dates": "*dates",
    "airflow.utils.timezone": "*timezone",
    "airflow.utils.task_group": "TaskGroup task_group",
    "airflow.utils.edgemodifier": "Label EdgeModifier",
    "airflow.utils.trigger_rule": "TriggerRule",
    "airflow.utils.weight_rule": "WeightRule",
    "airflow.utils.state": "State TaskInstanceState DagRunState",
    "airflow.utils.types": "DagRunType",
    "airflow.utils.weekday": "WeekDay",
    "airflow.utils.context": "Context",
    "airflow.utils.decorators": "apply_defaults",
    "airflow.utils.db": "provide_session create_session",
    "airflow.utils.session": "provide_session create_session",
    "airflow.utils.email": "send_email",
    "airflow.utils.log": "",
    "airflow.utils.log.logging_mixin": "LoggingMixin",
    "airflow.utils.helpers": "chain cross_downstream",
    "airflow.task": "",
    "airflow.task.trigger_rule": "TriggerRule",
    "airflow.contrib": "",
}

# Other spellings: path -> the path above that it means.
ALIASES = {
    # Airflow 1.10
    "airflow.operators.bash_operator": "airflow.operators.bash",
    "airflow.operators.python_operator": "airflow.operators.python",
    "airflow.operators.dummy_operator": "airflow.operators.dummy",
    "airflow.operators.branch_operator": "airflow.operators.branch",
    "airflow.operators.latest_only_operator": "airflow.operators.latest_only",
    "airflow.operators.dagrun_operator": "airflow.operators.trigger_dagrun",
    "airflow.operators.subdag_operator": "airflow.operators.subdag",
    "airflow.operators.email_operator": "airflow.operators.email",
    "airflow.sensors.base_sensor_operator": "airflow.sensors.base",
    "airflow.sensors.external_task_sensor": "airflow.sensors.external_task",
    "airflow.sensors.time_sensor": "airflow.sensors.time",
    "airflow.sensors.time_delta_sensor": "airflow.sensors.time_delta",
    "airflow.sensors.date_time_sensor": "airflow.sensors.date_time",
    "airflow.sensors.file_sensor": "airflow.sensors.filesystem",
    "airflow.contrib.sensors.file_sensor": "airflow.sensors.filesystem",
    "airflow.contrib.sensors.python_sensor": "airflow.sensors.python",
    "airflow.contrib.sensors.bash_sensor": "airflow.sensors.bash",
    "airflow.contrib.sensors.weekday_sensor": "airflow.sensors.weekday",
    "airflow.sensors.date_time_async": "airflow.sensors.date_time",
    "airflow.operators.http_operator": "airflow.providers.http.operators.http",
    "airflow.operators.postgres_operator": "airflow.providers.postgres.operators.postgres",
    "airflow.operators.mysql_operator": "airflow.providers.mysql.operators.mysql",
    "airflow.operators.sqlite_operator": "airflow.providers.sqlite.operators.sqlite",
    "airflow.sensors.http_sensor": "airflow.providers.http.sensors.http",
    "airflow.sensors.sql_sensor": "airflow.providers.common.sql.sensors.sql",
    "airflow.sensors.sql": "airflow.providers.common.sql.sensors.sql",
    "airflow.hooks.base_hook": "airflow.hooks.base",
    # Airflow 2
    "airflow.decorators.base": "airflow.decorators",
    "airflow.models.dagparam": "airflow.models.param",
    "airflow.models.operator": "airflow.models.baseoperator",
    "airflow.models.taskmixin": "airflow.models.baseoperator",
    # Airflow 3
    "airflow.providers.standard.operators.bash": "airflow.operators.bash",
    "airflow.providers.standard.operators.python": "airflow.operators.python",
    "airflow.providers.standard.operators.empty": "airflow.operators.empty",
    "airflow.providers.standard.operators.branch": "airflow.operators.branch",
    "airflow.providers.standard.operators.datetime": "airflow.operators.datetime",
    "airflow.providers.standard.operators.weekday": "airflow.operators.weekday",
    "airflow.providers.standard.operators.latest_only": "airflow.operators.latest_only",
    "airflow.providers.standard.operators.trigger_dagrun": "airflow.operators.trigger_dagrun",
    "airflow.providers.standard.sensors.external_task": "airflow.sensors.external_task",
    "airflow.providers.standard.sensors.filesystem": "airflow.sensors.filesystem",
    "airflow.providers.standard.sensors.python": "airflow.sensors.python",
    "airflow.providers.standard.sensors.bash": "airflow.sensors.bash",
    "airflow.providers.standard.sensors.time": "airflow.sensors.time",
    "airflow.providers.standard.sensors.time_delta": "airflow.sensors.time_delta",
    "airflow.providers.standard.sensors.date_time": "airflow.sensors.date_time",
    "airflow.providers.standard.sensors.weekday": "airflow.sensors.weekday",
    "airflow.providers.standard.hooks.filesystem": "airflow.hooks.filesystem",
    "airflow.providers.standard.hooks.subprocess": "airflow.hooks.subprocess",
    "airflow.sdk.bases.operator": "airflow.models.baseoperator",
    "airflow.sdk.bases.sensor": "airflow.sensors.base",
    "airflow.sdk.bases.hook": "airflow.hooks.base",
    "airflow.sdk.bases.notifier": "airflow.notifications.basenotifier",
    "airflow.sdk.definitions.dag": "airflow.models.dag",
    "airflow.sdk.definitions.param": "airflow.models.param",
    "airflow.sdk.definitions.context": "airflow.utils.context",
    "airflow.sdk.definitions.edges": "airflow.utils.edgemodifier",
    "airflow.sdk.definitions.taskgroup": "airflow.utils.task_group",
    "airflow.sdk.definitions.variable": "airflow.models.variable",
    "airflow.sdk.definitions.connection": "airflow.models.connection",
    "airflow.sdk.execution_time.context": "airflow.utils.context",
}

# Extra names of a module that is reached by another spelling.
EXTRA = {
    "airflow.operators.python_operator": "get_current_context",
    "airflow.operators.dagrun_operator": "TriggerDagRunOperator",
    "airflow.sdk.execution_time.context": "get_current_context",
}

# Packages whose modules are never ours: every name in them loads as one that cannot run.
FOREIGN = ("airflow.providers.", "airflow.contrib.")

# Where Airflow 1.10 and 2 kept operators of providers: their modules load the same way.
LEGACY = {
    "airflow.operators": "mssql_operator oracle_operator hive_operator "
    "presto_check_operator slack_operator docker_operator jdbc_operator pig_operator papermill_operator "
    "druid_check_operator redshift_to_s3_operator s3_to_hive_operator s3_to_redshift_operator "
    "s3_file_transform_operator mysql_to_hive hive_to_mysql generic_transfer sql sql_branch_operator check_operator "
    "google_api_to_s3_transfer gcs_to_s3",
    "airflow.sensors": "s3_key_sensor s3_prefix_sensor hdfs_sensor web_hdfs_sensor "
    "hive_partition_sensor named_hive_partition_sensor metastore_partition_sensor smart_sensor",
    "airflow.hooks": "postgres_hook mysql_hook sqlite_hook mssql_hook oracle_hook hive_hooks presto_hook slack_hook "
    "http_hook docker_hook jdbc_hook pig_hook druid_hook S3_hook hdfs_hook webhdfs_hook samba_hook dbapi_hook dbapi "
    "zendesk_hook",
}


def target(name):
    """`(module of ours, attribute or None for the module itself)` for a name that works."""
    where = NAMES[name]
    module, _, attribute = where.partition(":")
    if where.endswith(":"):
        return _MODEL + module, None
    return _MODEL + module, attribute or name


def names_of(module):
    """The names that a module exports, as the table says them; None for a module that is not in the table."""
    meant = ALIASES.get(module, module)
    if meant not in MODULES:
        return None
    return MODULES[meant].split() + EXTRA.get(module, "").split()


def is_package(module):
    """Whether some other module lies in it."""
    prefix = module + "."
    return any(name.startswith(prefix) for table in (MODULES, ALIASES) for name in table) or module in LEGACY


def is_foreign(module):
    """Whether a module belongs to a package that is not part of Updraft."""
    if (module + ".").startswith(FOREIGN):
        return True
    package, _, last = module.rpartition(".")
    return last in LEGACY.get(package, "").split()


def provider_of(module):
    """What to install for a module of a provider: `apache-airflow-providers-cncf-kubernetes`."""
    parts = module.split(".")
    if parts[:2] != ["airflow", "providers"] or len(parts) < 3:
        return None
    grouped = {"apache", "cncf", "common", "dbt", "microsoft"}
    name = parts[2:4] if parts[2] in grouped and len(parts) > 3 else parts[2:3]
    return "apache-airflow-providers-" + "-".join(name)
