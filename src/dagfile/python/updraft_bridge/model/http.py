"""HTTP for tasks that look at the answer with a Python function: the few things of `requests` that they use."""

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request

from .exceptions import AirflowException
from .store_values import Connection


class Response:
    """What came back, with the names that `requests` gives it."""

    def __init__(self, status, reason, headers, content, url):
        self.status_code, self.reason, self.headers, self.content, self.url = status, reason, headers, content, url
        self.ok = status < 400
        self.encoding = headers.get_content_charset() if hasattr(headers, "get_content_charset") else None

    @property
    def text(self):
        return self.content.decode(self.encoding or "utf-8", "replace")

    def json(self):
        return json.loads(self.text)

    def raise_for_status(self):
        if not self.ok:
            raise AirflowException("%d:%s" % (self.status_code, self.reason))


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def request(task, method, endpoint, data, body_json=None):
    """One request as the arguments of an HttpOperator or HttpSensor ask for it."""
    options = task.extra_options or {}
    url, headers = target(task.http_conn_id, endpoint or "")
    headers.update(task.headers or {})
    method, body = method.upper(), None
    if body_json is not None:
        body = json.dumps(body_json).encode()
        headers.setdefault("Content-Type", "application/json")
    elif method in ("GET", "HEAD") and data:
        query = urllib.parse.urlencode(data, doseq=True) if isinstance(data, dict) else str(data)
        url += ("&" if "?" in url else "?") + query
    elif isinstance(data, dict):
        body = urllib.parse.urlencode(data, doseq=True).encode()
    elif data:
        body = data if isinstance(data, bytes) else str(data).encode()
    asked = urllib.request.Request(url, data=body, headers=headers, method=method)
    handlers = []
    if options.get("verify") is False:
        handlers.append(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
    if options.get("allow_redirects") is False:
        handlers.append(NoRedirect())
    try:
        with urllib.request.build_opener(*handlers).open(asked, timeout=options.get("timeout")) as answer:
            response = Response(answer.status, answer.reason, answer.headers, answer.read(), answer.url)
    except urllib.error.HTTPError as error:
        response = Response(error.code, error.reason, error.headers, error.read(), url)
    task.log.info("%s %s: %d %s", method, url.partition("?")[0], response.status_code, response.reason)
    if options.get("check_response", True):
        response.raise_for_status()
    return response


def target(conn_id, endpoint):
    if endpoint.startswith(("http://", "https://")) and conn_id is None:
        return endpoint, {}
    connection = Connection.get(conn_id or "http_default")
    host = (connection.host or "").rstrip("/")
    if "://" not in host:
        host = "%s://%s" % (connection.schema or ("https" if connection.conn_type == "https" else "http"), host)
    if connection.port:
        host += ":%d" % connection.port
    headers = {k: v for k, v in connection.extra_dejson.items() if isinstance(v, str)}
    if connection.login:
        word = base64.b64encode(("%s:%s" % (connection.login, connection.password or "")).encode()).decode()
        headers["Authorization"] = "Basic " + word
    if endpoint.startswith(("http://", "https://")):
        return endpoint, headers
    return (host + "/" + endpoint.lstrip("/")) if endpoint else host, headers
