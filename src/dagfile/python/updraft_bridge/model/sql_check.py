"""Operators that look at rows and fail, branch or write: the SQL checks of Airflow's `common.sql`.

They run in Python, over the hooks of `sql_hook`; a plain statement is
SQLExecuteQueryOperator's and needs neither.
"""

import datetime
import numbers

from .branching import BranchMixIn
from .exceptions import AirflowException, AirflowFailException
from .operator import BaseOperator
from .sql_hook import hook_for
from .store_values import Connection


class BaseSQLOperator(BaseOperator):
    """What the operators of one database share; subclasses of authors ask it for `get_db_hook()`."""

    conn_id_field = "conn_id"
    default_conn_id = None

    def __init__(self, *, conn_id=None, database=None, hook_params=None, retry_on_failure=True, postgres_conn_id=None,
                 mysql_conn_id=None, sqlite_conn_id=None, **kwargs):
        super().__init__(**kwargs)
        self.conn_id = conn_id or postgres_conn_id or mysql_conn_id or sqlite_conn_id or self.default_conn_id
        self.database, self.hook_params = database, dict(hook_params or {})
        self.retry_on_failure = retry_on_failure

    def get_hook(self):
        return self.get_db_hook()

    def get_db_hook(self):
        if self.conn_id is None:
            raise AirflowFailException("task `%s` names no connection: give it a conn_id" % self.task_id)
        return hook_for(Connection.get(self.conn_id), self.database, **self.hook_params)

    def _raise(self, message):
        raise (AirflowException if self.retry_on_failure else AirflowFailException)(message)


class SQLCheckOperator(BaseSQLOperator):
    """Fails unless every value of the first row is true."""

    template_fields = ("sql", "parameters", "conn_id")
    template_ext = (".hql", ".sql")

    def __init__(self, *, sql, parameters=None, **kwargs):
        super().__init__(**kwargs)
        self.sql, self.parameters = sql, parameters

    def execute(self, context):
        row = self.get_db_hook().get_first(self.sql, self.parameters)
        self.log.info("Record: %s", row)
        if not row:
            self._raise("The following query returned zero rows: %s" % self.sql)
        values = row.values() if isinstance(row, dict) else row
        if not all(bool(value) for value in values):
            self._raise("Test failed.\nQuery:\n%s\nResults:\n%s" % (self.sql, row))
        self.log.info("Success.")


class SQLValueCheckOperator(BaseSQLOperator):
    """Fails unless the first row holds this value, within a tolerance."""

    template_fields = ("sql", "pass_value", "parameters", "conn_id")
    template_ext = (".hql", ".sql")

    def __init__(self, *, sql, pass_value, tolerance=None, parameters=None, **kwargs):
        super().__init__(**kwargs)
        self.sql, self.pass_value, self.tolerance, self.parameters = sql, pass_value, tolerance, parameters

    def execute(self, context):
        row = self.get_db_hook().get_first(self.sql, self.parameters)
        if not row:
            self._raise("The following query returned zero rows: %s" % self.sql)
        wanted = number(self.pass_value)
        if wanted is None:
            fits = all(str(value) == str(self.pass_value) for value in row)
        else:
            slack = abs(wanted * float(self.tolerance)) if self.tolerance else 0
            found = [number(value) for value in row]
            if None in found:
                self._raise("Converting a result to float failed: %s" % (row,))
            fits = all(wanted - slack <= value <= wanted + slack for value in found)
        if not fits:
            self._raise("Test failed.\nPass value:%s\nTolerance:%s\nQuery:\n%s\nResults:\n%s"
                        % (self.pass_value, self.tolerance, self.sql, row))


class SQLThresholdCheckOperator(BaseSQLOperator):
    """Fails unless the first value lies between two thresholds, each a number or a query."""

    template_fields = ("sql", "min_threshold", "max_threshold", "conn_id")
    template_ext = (".hql", ".sql")

    def __init__(self, *, sql, min_threshold, max_threshold, **kwargs):
        super().__init__(**kwargs)
        self.sql, self.min_threshold, self.max_threshold = sql, min_threshold, max_threshold

    def execute(self, context):
        hook = self.get_db_hook()
        row = hook.get_first(self.sql)
        if not row:
            self._raise("The following query returned zero rows: %s" % self.sql)

        def threshold(value):
            plain = number(value)
            return float(hook.get_first(value)[0]) if plain is None else plain

        least, most = threshold(self.min_threshold), threshold(self.max_threshold)
        if not least <= float(row[0]) <= most:
            self._raise("Threshold Check: \"%s\" failed. Result: %s is not within thresholds %s and %s"
                        % (self.task_id, row[0], least, most))


class SQLIntervalCheckOperator(BaseSQLOperator):
    """Fails where a metric of a day is too far from that of some days before."""

    template_fields = ("sql1", "sql2", "table", "conn_id")

    def __init__(self, *, table, metrics_thresholds, date_filter_column="ds", days_back=-7, ratio_formula="max_over_min",
                 ignore_zero=True, **kwargs):
        super().__init__(**kwargs)
        if ratio_formula not in ("max_over_min", "relative_diff"):
            raise AirflowException("expected ratio_formula to be max_over_min or relative_diff, got: %r" % ratio_formula)
        self.table, self.metrics_thresholds, self.ignore_zero = table, metrics_thresholds, ignore_zero
        self.ratio_formula, self.days_back = ratio_formula, -abs(days_back)
        self.metrics_sorted = sorted(metrics_thresholds)
        self.sql1 = "SELECT %s FROM %s WHERE %s='{{ ds }}'" % (", ".join(self.metrics_sorted), table, date_filter_column)
        self.sql2 = "SELECT %s FROM %s WHERE %s='{{ macros.ds_add(ds, %d) }}'" % (
            ", ".join(self.metrics_sorted), table, date_filter_column, self.days_back)

    def execute(self, context):
        hook = self.get_db_hook()
        now, before = hook.get_first(self.sql1), hook.get_first(self.sql2)
        for row, sql in ((before, self.sql2), (now, self.sql1)):
            if not row:
                self._raise("The following query returned zero rows: %s" % sql)
        failed = []
        for metric, new, old in zip(self.metrics_sorted, now, before):
            ratio = self._ratio(new, old)
            limit = self.metrics_thresholds[metric]
            self.log.info("Metric %s: %s before, %s now, ratio %s, threshold %s", metric, old, new, ratio, limit)
            if not (self.ignore_zero if ratio is None else ratio < limit):
                failed.append(metric)
        if failed:
            self._raise("The following tests have failed: %s" % ", ".join(failed))

    def _ratio(self, new, old):
        if not new or not old:
            return None
        if self.ratio_formula == "max_over_min":
            return float(max(new, old)) / min(new, old)
        return float(abs(new - old)) / old


CHECKS = ("geq_to", "leq_to", "greater_than", "less_than", "equal_to")


def matches(value, check, tolerance=None):
    """Whether a value satisfies the conditions of a column check."""
    for name in check:
        if name not in CHECKS and name not in ("tolerance", "pass_value", "partition_clause", "record", "success"):
            raise AirflowException("expected a column check to be one of %s, got: %r" % (", ".join(CHECKS), name))
    tolerance = check.get("tolerance", tolerance)
    if value is None:
        return False
    value = float(value) if isinstance(value, numbers.Number) else value
    if "equal_to" in check:
        wanted = check["equal_to"]
        slack = abs(wanted * tolerance) if tolerance is not None else 0
        if not wanted - slack <= value <= wanted + slack:
            return False
    return (("geq_to" not in check or value >= check["geq_to"]) and ("greater_than" not in check or value > check["greater_than"])
            and ("leq_to" not in check or value <= check["leq_to"]) and ("less_than" not in check or value < check["less_than"]))


class SQLColumnCheckOperator(BaseSQLOperator):
    """Fails unless each column's nulls, distinct and unique values, minimum and maximum are as they should be."""

    template_fields = ("table", "partition_clause", "conn_id")
    MEASURES = {
        "null_check": "SUM(CASE WHEN {c} IS NULL THEN 1 ELSE 0 END)", "distinct_check": "COUNT(DISTINCT({c}))",
        "unique_check": "COUNT(*) - COUNT(DISTINCT({c}))", "min": "MIN({c})", "max": "MAX({c})",
    }

    def __init__(self, *, table, column_mapping, partition_clause=None, accept_none=True, **kwargs):
        super().__init__(**kwargs)
        for column, checks in column_mapping.items():
            for check in checks:
                if check not in self.MEASURES:
                    raise AirflowException("expected a check of column `%s` to be one of %s, got: %r"
                                           % (column, ", ".join(self.MEASURES), check))
        self.table, self.column_mapping, self.partition_clause = table, column_mapping, partition_clause
        self.accept_none = accept_none

    def execute(self, context):
        wanted = [(c, name, check) for c, checks in self.column_mapping.items() for name, check in checks.items()]
        measures = ", ".join(self.MEASURES[name].format(c=column) for column, name, _ in wanted)
        where = " WHERE %s" % self.partition_clause if self.partition_clause else ""
        row = self.get_db_hook().get_first("SELECT %s FROM %s%s" % (measures, self.table, where))
        if not row:
            self._raise("The table `%s` gave no row" % self.table)
        failed = []
        for (column, name, check), value in zip(wanted, row):
            value = 0 if value is None and self.accept_none else value
            if not matches(value, check):
                failed.append("%s of %s is %s, expected: %s" % (name, column, value, check))
        if failed:
            self._raise("Test failed.\nThe following tests have failed: %s" % "; ".join(failed))
        self.log.info("All tests have passed")


class SQLTableCheckOperator(BaseSQLOperator):
    """Fails unless every statement about the whole table is true."""

    template_fields = ("table", "partition_clause", "conn_id")

    def __init__(self, *, table, checks, partition_clause=None, **kwargs):
        super().__init__(**kwargs)
        self.table, self.checks, self.partition_clause = table, checks, partition_clause

    def execute(self, context):
        hook, failed = self.get_db_hook(), []
        for name, check in self.checks.items():
            clauses = [c for c in (self.partition_clause, check.get("partition_clause")) if c]
            where = " WHERE %s" % " AND ".join(clauses) if clauses else ""
            statement = check["check_statement"]
            row = hook.get_first("SELECT MIN(held) FROM (SELECT CASE WHEN %s THEN 1 ELSE 0 END AS held FROM %s%s) AS sq"
                                 % (statement, self.table, where))
            if not row or not row[0]:
                failed.append("%s (%s)" % (name, statement))
        if failed:
            self._raise("Test failed.\nThe following tests have failed: %s" % "; ".join(failed))
        self.log.info("All tests have passed")


class BranchSQLOperator(BaseSQLOperator, BranchMixIn):
    """Follows one of two ways, by the first value of a query."""

    template_fields = ("sql", "conn_id")
    template_ext = (".sql",)

    def __init__(self, *, sql, follow_task_ids_if_true, follow_task_ids_if_false, parameters=None, **kwargs):
        super().__init__(**kwargs)
        self.sql, self.parameters = sql, parameters
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false

    def execute(self, context):
        row = self.get_db_hook().get_first(self.sql, self.parameters)
        if not row:
            raise AirflowException("No rows returned from sql query. Operator expected True or False return value.")
        value = row[0] if isinstance(row, (list, tuple)) else row
        text = str(value).strip().lower()
        is_number = isinstance(value, numbers.Number) and not isinstance(value, bool)
        if not is_number and not isinstance(value, (bool, str)):
            raise AirflowException("Unexpected query return result '%s' type '%s'" % (value, type(value).__name__))
        holds = bool(value) if is_number or isinstance(value, bool) else text in ("true", "t", "yes", "y", "1", "on")
        return self.do_branch(context, self.follow_task_ids_if_true if holds else self.follow_task_ids_if_false)


class SQLInsertRowsOperator(BaseSQLOperator):
    """Inserts rows that another task made."""

    template_fields = ("table_name", "conn_id", "schema", "database", "columns", "rows")

    def __init__(self, *, table_name, conn_id=None, schema=None, columns=None, rows=None, rows_processor=None,
                 preoperator=None, postoperator=None, insert_args=None, **kwargs):
        super().__init__(conn_id=conn_id, **kwargs)
        self.table_name, self.schema, self.columns = table_name, schema, columns
        self.rows, self.rows_processor = rows, rows_processor
        self.preoperator, self.postoperator, self.insert_args = preoperator, postoperator, dict(insert_args or {})

    def execute(self, context):
        from .xcom_arg import resolve

        hook, rows = self.get_db_hook(), resolve(self.rows, context)
        if self.rows_processor is not None:
            rows = self.rows_processor(context, rows)
        if self.preoperator:
            hook.run(self.preoperator)
        if rows and isinstance(rows[0], dict):
            self.columns = self.columns or list(rows[0])
            rows = [[row.get(column) for column in self.columns] for row in rows]
        table = "%s.%s" % (self.schema, self.table_name) if self.schema else self.table_name
        hook.insert_rows(table, rows or [], target_fields=self.columns, **self.insert_args)
        if self.postoperator:
            hook.run(self.postoperator)


def number(value):
    """A number from a number or its text; None from anything else."""
    if isinstance(value, bool) or isinstance(value, (datetime.date, datetime.timedelta)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


# Their names before Airflow 2.
CheckOperator, ValueCheckOperator = SQLCheckOperator, SQLValueCheckOperator
IntervalCheckOperator, ThresholdCheckOperator = SQLIntervalCheckOperator, SQLThresholdCheckOperator
BranchSqlOperator = BranchSQLOperator
