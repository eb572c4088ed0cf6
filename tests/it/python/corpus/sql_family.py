# expect sql_family: create=success insert=success check=success value=success threshold=success columns=success table=success interval=success branch=success few=success many=skipped handled=success hook=success rows=success own=success bad=failed -> failed
"""SQL on a connection of SQLite's: native where the class is exactly Airflow's, by a hook where Python is asked for."""
from contextlib import closing
from datetime import datetime

from airflow import DAG
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator
from airflow.providers.common.sql.operators.sql import (
    BaseSQLOperator, BranchSQLOperator, SQLCheckOperator, SQLColumnCheckOperator, SQLExecuteQueryOperator,
    SQLInsertRowsOperator, SQLIntervalCheckOperator, SQLTableCheckOperator, SQLThresholdCheckOperator, SQLValueCheckOperator,
)
from airflow.providers.sqlite.hooks.sqlite import SqliteHook
from airflow.providers.sqlite.operators.sqlite import SqliteOperator


def by_hook():
    hook = SqliteHook(sqlite_conn_id="warehouse")
    hook.insert_rows("orders", [(10, 5.0, "2020-01-01"), (11, 6.0, "2020-01-01")], target_fields=["id", "price", "ds"])
    assert hook.get_first("SELECT count(*) FROM orders") == (5,)
    assert len(hook.get_records("SELECT id FROM orders WHERE price > ?", parameters=(2,))) == 3
    with closing(hook.get_conn()) as conn, closing(conn.cursor()) as cursor:
        cursor.execute("SELECT max(id) FROM orders")
        assert cursor.fetchone()[0] == 11
    hook.run(["DELETE FROM orders WHERE id = 10", "DELETE FROM orders WHERE id = 11"], autocommit=True)


class OwnSql(BaseSQLOperator):
    template_fields = ("sql",)

    def __init__(self, sql, **kwargs):
        super().__init__(**kwargs)
        self.sql = sql

    def execute(self, context):
        return self.get_db_hook().get_first(self.sql)[0]


with DAG("sql_family", start_date=datetime(2024, 1, 1), schedule=None, default_args={"conn_id": "warehouse", "retries": 0}):
    create = SqliteOperator(
        task_id="create", sqlite_conn_id="warehouse",
        sql=["DROP TABLE IF EXISTS orders", "CREATE TABLE orders (id INTEGER, price REAL, ds TEXT)"])
    insert = SQLExecuteQueryOperator(
        task_id="insert", split_statements=True,
        sql="INSERT INTO orders VALUES (1, 1.0, '{{ ds }}'); INSERT INTO orders VALUES (2, 2.0, '{{ ds }}');"
            "INSERT INTO orders VALUES (3, 3.0, '{{ macros.ds_add(ds, -7) }}')")
    checks = [
        SQLCheckOperator(task_id="check", sql="SELECT count(*) > 0 FROM orders"),
        SQLValueCheckOperator(task_id="value", sql="SELECT sum(price) FROM orders", pass_value=5.9, tolerance=0.1),
        SQLThresholdCheckOperator(task_id="threshold", sql="SELECT count(*) FROM orders", min_threshold=1,
                                  max_threshold="SELECT 5"),
        SQLColumnCheckOperator(task_id="columns", table="orders", column_mapping={
            "id": {"null_check": {"equal_to": 0}, "min": {"geq_to": 1}, "unique_check": {"equal_to": 0}}}),
        SQLTableCheckOperator(task_id="table", table="orders", checks={
            "rows": {"check_statement": "COUNT(*) = 3"}, "positive": {"check_statement": "price > 0"}}),
        SQLIntervalCheckOperator(task_id="interval", table="orders", metrics_thresholds={"COUNT(*)": 3}),
    ]
    branch = BranchSQLOperator(task_id="branch", sql="SELECT count(*) < 10 FROM orders",
                               follow_task_ids_if_true="few", follow_task_ids_if_false="many")
    few, many = EmptyOperator(task_id="few"), EmptyOperator(task_id="many")
    handled = SQLExecuteQueryOperator(task_id="handled", sql="SELECT id FROM orders ORDER BY id",
                                      handler=lambda cursor: [row[0] for row in cursor.fetchall()])
    rows = SQLInsertRowsOperator(task_id="rows", table_name="orders", columns=["id"], rows=[[7], [8]],
                                 postoperator="DELETE FROM orders WHERE id > 6")
    own = OwnSql(task_id="own", sql="SELECT count(*) FROM orders")
    bad = SQLCheckOperator(task_id="bad", sql="SELECT 0")
    hook = PythonOperator(task_id="hook", python_callable=by_hook)
    create >> insert >> checks >> branch >> [few, many]
    few >> hook >> rows >> [handled, own, bad]
