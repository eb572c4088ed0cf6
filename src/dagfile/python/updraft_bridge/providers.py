"""Modules of Airflow's provider packages: which package a module belongs to, and what to install for it.

None of them is part of Updraft. What a file takes from them loads, keeps its
place in the graph, and says on use what to do.
"""

import sys

# Packages whose modules are never ours: every name in them loads as one that cannot run.
FOREIGN = ("airflow.providers.", "airflow.contrib.", "airflow.kubernetes.", "airflow.gcp.", "airflow.lineage.")

# Where Airflow 1.10 and 2 kept operators of providers: their modules load the same way.
LEGACY = {
    "airflow.operators": "mssql_operator oracle_operator hive_operator mssql_to_hive hive_stats_operator "
    "presto_check_operator presto_to_mysql slack_operator docker_operator jdbc_operator pig_operator papermill_operator "
    "druid_check_operator redshift_to_s3_operator s3_to_hive_operator s3_to_redshift_operator hive_to_druid "
    "s3_file_transform_operator mysql_to_hive hive_to_mysql hive_to_samba_operator generic_transfer docker_swarm_operator "
    "google_api_to_s3_transfer gcs_to_s3 adls_to_gcs cassandra_to_gcs mysql_to_gcs postgres_to_gcs sql_to_gcs "
    "dataproc_operator bigquery_operator snowflake_operator aws_athena_operator",
    "airflow.sensors": "s3_key_sensor s3_prefix_sensor hdfs_sensor web_hdfs_sensor "
    "hive_partition_sensor named_hive_partition_sensor metastore_partition_sensor smart_sensor",
    "airflow.hooks": "mssql_hook oracle_hook hive_hooks presto_hook slack_hook docker_hook jdbc_hook pig_hook druid_hook "
    "S3_hook hdfs_hook webhdfs_hook samba_hook zendesk_hook",
}

# A word of a module's path, and the provider that it tells of, for modules from before Airflow 2.
WORDS = (
    ("google", "gcp gcs gcloud bigquery dataproc dataflow datastore mlengine pubsub bigtable spanner google stackdriver "
     "automl sheets gdrive campaign_manager"),
    ("cncf-kubernetes", "kubernetes k8s"),
    ("apache-spark", "spark"), ("apache-hive", "hive metastore"), ("apache-hdfs", "hdfs webhdfs"), ("apache-pig", "pig"),
    ("apache-druid", "druid"), ("apache-livy", "livy"), ("apache-sqoop", "sqoop"), ("apache-cassandra", "cassandra"),
    ("apache-pinot", "pinot"), ("presto", "presto"), ("oracle", "oracle"), ("microsoft-mssql", "mssql"), ("jdbc", "jdbc"),
    ("slack", "slack"), ("docker", "docker"), ("databricks", "databricks"), ("snowflake", "snowflake"),
    ("mongo", "mongo"), ("redis", "redis"), ("imap", "imap"), ("microsoft-winrm", "winrm"), ("opsgenie", "opsgenie"),
    ("segment", "segment"), ("vertica", "vertica"), ("sendgrid", "sendgrid"), ("datadog", "datadog"),
    ("discord", "discord"), ("dingding", "dingding"), ("zendesk", "zendesk"), ("samba", "samba"),
    ("papermill", "papermill"), ("jira", "jira"), ("salesforce", "salesforce"), ("grpc", "grpc"), ("jenkins", "jenkins"),
    ("microsoft-azure", "azure wasb adls adx cosmos"), ("openfaas", "openfaas"), ("cloudant", "cloudant"),
    ("sftp", "sftp"), ("ssh", "ssh"), ("ftp", "ftp"), ("celery", "celery"), ("openlineage", "lineage"),
    ("amazon", "aws s3 emr sqs sns redshift athena ecs batch glacier kinesis dynamodb sagemaker lambda glue ec2 amazon"),
)


def is_foreign(module):
    """Whether a module belongs to a package that is not part of Updraft."""
    if (module + ".").startswith(FOREIGN):
        return True
    package, _, last = module.rpartition(".")
    return last in LEGACY.get(package, "").split()


def provider_of(module):
    """What to install for a module: `apache-airflow-providers-cncf-kubernetes`; None where nobody can tell."""
    parts = module.split(".")
    if parts[:2] == ["airflow", "providers"]:
        if len(parts) < 3:
            return None
        grouped = {"apache", "cncf", "common", "dbt", "microsoft"}
        name = parts[2:4] if parts[2] in grouped and len(parts) > 3 else parts[2:3]
        return "apache-airflow-providers-" + "-".join(name).replace("_", "-")
    # Of a transfer from one to another, the later one's package holds it.
    words = [word for part in parts[1:] for word in part.lower().split("_")]
    for name, known in WORDS:
        if any(word in known.split() for word in words):
            return "apache-airflow-providers-" + name
    return None


def why(package, module=None):
    """Why something cannot run, and the command that helps."""
    if package is None:
        return "it belongs to a provider package of Airflow's (%s), which is not part of Updraft" % module
    return ("it belongs to the package %s, which is not part of Updraft; Airflow's own Task SDK runs it: "
            "`%s -m pip install apache-airflow-task-sdk %s`, with `[python] runner = auto`"
            % (package, sys.executable, package))
