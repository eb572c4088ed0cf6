"""Hooks for databases: connections of Updraft's, driven by whichever driver the interpreter has.

SQLite needs none. For the others the first driver that can be imported is
taken; without one the error names the package to install. (The SQL operators
themselves need no driver: Updraft runs them without Python.)
"""

import contextlib
import sys
import urllib.parse

from .exceptions import AirflowFailException
from .store_values import BaseHook, Connection


def fetch_all_handler(cursor):
    """All rows of a statement that has rows."""
    return cursor.fetchall() if cursor.description is not None else None


def fetch_one_handler(cursor):
    return cursor.fetchone() if cursor.description is not None else None


def return_single_query_results(sql, return_last, split_statements):
    return isinstance(sql, str) and (return_last if split_statements else True)


def driver_of(hook, names, package):
    """The first of these modules that can be imported, with its name."""
    import importlib

    for name in names:
        try:
            return name, importlib.import_module(name)
        except ImportError:
            continue
    raise AirflowFailException(
        "%s needs a driver, and none of %s is installed: `%s -m pip install %s`. (As an operator of its own the "
        "statement needs none: SQLExecuteQueryOperator runs without Python)"
        % (hook, ", ".join(names), sys.executable, package))


class DbApiHook(BaseHook):
    """What all databases have in common. Subclasses say in `get_conn` how to connect."""

    conn_name_attr = "conn_id"
    default_conn_name = "default_conn_id"
    conn_type = ""
    supports_autocommit = False
    connector = None
    placeholder = "%s"

    def __init__(self, *args, schema=None, log_sql=True, **kwargs):
        super().__init__()
        name = args[0] if args else kwargs.pop(self.conn_name_attr, None) or kwargs.pop("conn_id", None)
        setattr(self, self.conn_name_attr, name or self.default_conn_name)
        self.schema = schema or kwargs.pop("database", None)
        self.log_sql = log_sql
        self.options = kwargs

    def get_conn_id(self):
        return getattr(self, self.conn_name_attr)

    @property
    def connection(self):
        return Connection.get(self.get_conn_id())

    def get_conn(self):
        if self.connector is not None:
            conn = self.connection
            return self.connector.connect(host=conn.host, port=conn.port, username=conn.login, schema=conn.schema)
        raise NotImplementedError("%s has no `get_conn` method" % type(self).__name__)

    def get_cursor(self):
        return self.get_conn().cursor()

    def get_uri(self):
        return self.connection.get_uri()

    def get_sqlalchemy_engine(self, engine_kwargs=None):
        try:
            import sqlalchemy
        except ImportError:
            raise AirflowFailException("get_sqlalchemy_engine() needs the package sqlalchemy: `%s -m pip install sqlalchemy`"
                                       % sys.executable) from None
        return sqlalchemy.create_engine(self.get_uri(), **(engine_kwargs or {}))

    # -- reading

    def get_records(self, sql, parameters=None, **kwargs):
        return self.run(sql, parameters=parameters, handler=fetch_all_handler)

    def get_first(self, sql, parameters=None):
        return self.run(sql, parameters=parameters, handler=fetch_one_handler)

    def get_pandas_df(self, sql, parameters=None, **kwargs):
        try:
            import pandas
        except ImportError:
            raise AirflowFailException("get_pandas_df() needs the package pandas: `%s -m pip install pandas`"
                                       % sys.executable) from None
        with contextlib.closing(self.get_conn()) as conn, contextlib.closing(conn.cursor()) as cursor:
            self._execute(cursor, sql, parameters)
            return pandas.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description or ()])

    get_df = get_pandas_df

    # -- running

    def run(self, sql, autocommit=False, parameters=None, handler=None, split_statements=False, return_last=True):
        """Runs one statement or several in one transaction; `handler` makes of each cursor what is returned."""
        if isinstance(sql, str):
            statements = split(sql) if split_statements else [sql]
        else:
            statements = list(sql)
        if not [s for s in statements if str(s).strip()]:
            raise ValueError("the list of SQL statements is empty")
        results = []
        with contextlib.closing(self.get_conn()) as conn:
            if self.supports_autocommit:
                self.set_autocommit(conn, autocommit)
            with contextlib.closing(conn.cursor()) as cursor:
                for statement in statements:
                    self._execute(cursor, statement, parameters)
                    if handler is not None:
                        results.append(handler(cursor))
            if not autocommit:
                conn.commit()
        if handler is None:
            return None
        return results[-1] if return_single_query_results(sql, return_last, split_statements) else results

    def _execute(self, cursor, statement, parameters):
        if self.log_sql:
            self.log.info("Running statement: %s, parameters: %s", statement, parameters)
        if parameters:
            cursor.execute(statement, parameters)
        else:
            cursor.execute(statement)

    def set_autocommit(self, conn, autocommit):
        conn.autocommit = autocommit

    def get_autocommit(self, conn):
        return bool(getattr(conn, "autocommit", False)) and self.supports_autocommit

    @staticmethod
    def split_sql_string(sql, strip_semicolon=False):
        return split(sql)

    # -- writing

    def insert_rows(self, table, rows, target_fields=None, commit_every=1000, replace=False, *, executemany=False, **kwargs):
        fields = list(target_fields or [])
        count = 0
        with contextlib.closing(self.get_conn()) as conn:
            if self.supports_autocommit:
                self.set_autocommit(conn, False)
            with contextlib.closing(conn.cursor()) as cursor:
                for row in rows:
                    values = tuple(row)
                    cursor.execute(self._insert_statement(table, values, fields, replace, **kwargs), values)
                    count += 1
                    if commit_every and count % commit_every == 0:
                        conn.commit()
            conn.commit()
        self.log.info("Done loading. Loaded a total of %d rows into %s", count, table)

    def _insert_statement(self, table, values, fields, replace, **kwargs):
        named = " (%s)" % ", ".join(fields) if fields else ""
        places = ", ".join([self.placeholder] * len(values))
        return "%s INTO %s%s VALUES (%s)" % ("REPLACE" if replace else "INSERT", table, named, places)

    def test_connection(self):
        try:
            self.get_first("select 1")
        except Exception as error:  # The text is the answer.
            return False, str(error)
        return True, "Connection successfully tested"


def split(sql):
    """The statements of a text: a `;` inside quotes, comments or dollar quotes ends none."""
    import re

    token = re.compile(
        r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1|;|[^'\";$/-]+|.", re.DOTALL)
    statements, current = [], []
    for found in token.finditer(sql):
        if found.group() == ";":
            statements.append("".join(current).strip())
            current = []
        else:
            current.append(found.group())
    statements.append("".join(current).strip())
    return [s for s in statements if s]


class PostgresHook(DbApiHook):
    conn_name_attr = "postgres_conn_id"
    default_conn_name = "postgres_default"
    conn_type = "postgres"
    supports_autocommit = True
    # Options of a connection's extra that are Airflow's and not the driver's.
    NOT_FOR_DRIVER = ("iam", "redshift", "cursor", "cluster-identifier", "aws_conn_id", "sqlalchemy_query")

    def get_conn(self):
        name, driver = driver_of("PostgresHook", ("psycopg2", "psycopg", "pg8000.dbapi"), "psycopg2-binary")
        conn = self.connection
        database = self.schema or conn.schema or conn.login
        extra = {k: v for k, v in conn.extra_dejson.items() if k not in self.NOT_FOR_DRIVER}
        given = {"host": conn.host, "port": conn.port or 5432, "user": conn.login, "password": conn.password}
        if name == "pg8000.dbapi":
            extra = {}
            given["host"] = conn.host or "localhost"
            given["database"] = database
        else:
            given["dbname"] = database
        return driver.connect(**{k: v for k, v in dict(given, **extra).items() if v is not None})

    def get_uri(self):
        return self.connection.get_uri().replace("postgres://", "postgresql://", 1)

    def copy_expert(self, sql, filename):
        """`COPY … FROM STDIN` or `COPY … TO STDOUT` with a file."""
        reads = " from " in " %s " % " ".join(sql.lower().split()) and "stdin" in sql.lower()
        with open(filename, "rb" if reads else "wb") as file, contextlib.closing(self.get_conn()) as conn, \
                contextlib.closing(conn.cursor()) as cursor:
            if hasattr(cursor, "copy_expert"):
                cursor.copy_expert(sql, file)
            elif hasattr(cursor, "copy"):
                with cursor.copy(sql) as copy:
                    if reads:
                        while part := file.read(1 << 16):
                            copy.write(part)
                    else:
                        for part in copy:
                            file.write(part)
            else:
                cursor.execute(sql, stream=file)
            conn.commit()

    def bulk_load(self, table, tmp_file):
        self.copy_expert("COPY %s FROM STDIN" % table, tmp_file)

    def bulk_dump(self, table, tmp_file):
        self.copy_expert("COPY %s TO STDOUT" % table, tmp_file)

    def _insert_statement(self, table, values, fields, replace, replace_index=None, **kwargs):
        statement = super()._insert_statement(table, values, fields, False)
        if not replace:
            return statement
        if not fields or replace_index is None:
            raise ValueError("insert_rows(replace=True) on Postgres needs target_fields and replace_index")
        index = [replace_index] if isinstance(replace_index, str) else list(replace_index)
        rest = [f for f in fields if f not in index]
        action = "UPDATE SET " + ", ".join("%s = excluded.%s" % (f, f) for f in rest) if rest else "NOTHING"
        return "%s ON CONFLICT (%s) DO %s" % (statement, ", ".join(index), action)


class MySqlHook(DbApiHook):
    conn_name_attr = "mysql_conn_id"
    default_conn_name = "mysql_default"
    conn_type = "mysql"
    supports_autocommit = True

    def get_conn(self):
        name, driver = driver_of("MySqlHook", ("MySQLdb", "pymysql", "mysql.connector"), "pymysql")
        conn = self.connection
        given = {"host": conn.host or "localhost", "port": conn.port or 3306, "user": conn.login,
                 "password": conn.password or "", "database": self.schema or conn.schema,
                 "charset": conn.extra_dejson.get("charset") or "utf8mb4"}
        if name == "MySQLdb":
            given["passwd"], given["db"] = given.pop("password"), given.pop("database") or ""
        return driver.connect(**{k: v for k, v in given.items() if v is not None})

    def set_autocommit(self, conn, autocommit):
        if callable(getattr(conn, "autocommit", None)):
            conn.autocommit(autocommit)
        else:
            conn.autocommit = autocommit


class SqliteHook(DbApiHook):
    conn_name_attr = "sqlite_conn_id"
    default_conn_name = "sqlite_default"
    conn_type = "sqlite"
    placeholder = "?"

    def get_conn(self):
        import sqlite3

        conn = self.connection
        # `sqlite:///tmp/x.db` has no host and the path as its schema; Airflow writes the path as the host.
        path = urllib.parse.unquote(conn.host or "") or ("/" + conn.schema if conn.schema else None)
        if not path:
            raise AirflowFailException("the SQLite connection `%s` names no file" % self.get_conn_id())
        return sqlite3.connect(path)

    def get_uri(self):
        conn = self.connection
        return "sqlite:///" + (conn.host or "/" + (conn.schema or ""))


HOOKS = {"postgres": PostgresHook, "postgresql": PostgresHook, "mysql": MySqlHook, "sqlite": SqliteHook}


def hook_for(connection, database=None, **options):
    """The hook of a connection's type."""
    kind = HOOKS.get(connection.conn_type)
    if kind is None:
        raise AirflowFailException("a connection of type `%s` cannot run SQL here (known: postgres, mysql, sqlite)"
                                   % connection.conn_type)
    hook = kind(connection.conn_id, **options)
    if database:
        hook.schema = database
    return hook
