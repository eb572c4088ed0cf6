"""Hooks that need no package: HTTP by the standard library, the file system, and child processes."""

import collections
import os
import signal
import subprocess
import tempfile

from .exceptions import AirflowException, AirflowNotFoundException
from .store_values import BaseHook, Connection


class HttpHook(BaseHook):
    """Requests to the host of a connection. What comes back has the names that `requests` gives it."""

    conn_name_attr, default_conn_name, conn_type, hook_name = "http_conn_id", "http_default", "http", "HTTP"

    def __init__(self, method="POST", http_conn_id="http_default", auth_type=None, **kwargs):
        super().__init__()
        self.method, self.http_conn_id = method.upper(), http_conn_id
        self.endpoint, self.headers, self.extra_options = None, {}, {}

    @property
    def base_url(self):
        from .http import target

        return target(self.http_conn_id, "")[0]

    def run(self, endpoint=None, data=None, headers=None, extra_options=None, json=None, **request_kwargs):
        from .http import request

        asked = HttpHook(self.method, self.http_conn_id)
        asked.headers, asked.extra_options = dict(headers or {}), dict(extra_options or {})
        asked.extra_options.update({k: v for k, v in request_kwargs.items() if k in ("timeout", "verify", "allow_redirects")})
        return request(asked, self.method, endpoint, data, json)

    def run_with_advanced_retry(self, _retry_args, *args, **kwargs):
        """The tries are the task's: give it `retries`."""
        return self.run(*args, **kwargs)

    def check_response(self, response):
        response.raise_for_status()

    def get_conn(self, headers=None, extra_options=None):
        try:
            import requests
        except ImportError:
            import sys

            raise AirflowException("HttpHook.get_conn() gives a session of the package requests: "
                                   "`%s -m pip install requests` (run() needs no package)" % sys.executable) from None
        session = requests.Session()
        connection = Connection.get(self.http_conn_id)
        if connection.login:
            session.auth = (connection.login, connection.password)
        session.headers.update({k: v for k, v in connection.extra_dejson.items() if isinstance(v, str)})
        session.headers.update(headers or {})
        return session


class FSHook(BaseHook):
    """The folder that a connection of type `fs` names."""

    conn_name_attr, default_conn_name, conn_type, hook_name = "fs_conn_id", "fs_default", "fs", "File (path)"

    def __init__(self, fs_conn_id="fs_default", **kwargs):
        super().__init__()
        try:
            found = Connection.get(fs_conn_id)
        except AirflowNotFoundException:
            if fs_conn_id != "fs_default":
                raise
            found = Connection(conn_id=fs_conn_id)
        self.conn = found
        self.basepath = found.extra_dejson.get("path") or found.host or ""

    def get_conn(self):
        return None

    def get_path(self):
        return self.basepath


SubprocessResult = collections.namedtuple("SubprocessResult", ["exit_code", "output"])


class SubprocessHook(BaseHook):
    """A command whose output goes to the log."""

    def __init__(self, **kwargs):
        super().__init__()
        self.sub_process = None

    def run_command(self, command, env=None, output_encoding="utf-8", cwd=None):
        with tempfile.TemporaryDirectory(prefix="airflowtmp") as fresh:
            self.log.info("Running command: %s", command)
            self.sub_process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd or fresh,
                env=env if env or env == {} else os.environ)
            line = ""
            for raw in self.sub_process.stdout:
                line = raw.decode(output_encoding, "backslashreplace").rstrip()
                self.log.info("%s", line)
            code = self.sub_process.wait()
        self.log.info("Command exited with return code %s", code)
        return SubprocessResult(exit_code=code, output=line)

    def send_sigterm(self):
        if self.sub_process is not None and self.sub_process.poll() is None:
            self.sub_process.send_signal(signal.SIGTERM)
