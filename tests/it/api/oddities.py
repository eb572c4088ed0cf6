"""Every reading operation with names that exist and parameters that are odd: no error of the server.

`oddities.py URL PASSWORD`"""

import json
import random
import sys
import urllib.error
import urllib.parse
import urllib.request

url, password = sys.argv[1:3]
dice = random.Random(20261121)


def call(path, body=None, method=None, accept="application/json"):
    headers = {"Content-Type": "application/json", "Accept": accept, **bearer}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


bearer = {}
bearer = {"Authorization": "Bearer " + json.loads(call("/auth/token", {"username": "admin", "password": password})[1])["access_token"]}
assert call("/api/v2/dags/etl/dagRuns", {"logical_date": None, "dag_run_id": "r"})[0] == 200
call("/api/v2/dags/etl/dagRuns/r/wait?interval=0.1")
call("/api/v2/variables", {"key": "k", "value": 1})

names = {"dag_id": ["etl", "~"], "dag_run_id": ["r", "~"], "task_id": ["extract", "~"], "map_index": ["-1", "0"],
         "try_number": ["1"], "task_try_number": ["1"], "pool_name": ["default_pool"], "variable_key": ["k"],
         "xcom_key": ["return_value"], "version_number": ["1"], "section": ["core"], "option": ["executor"]}
odd = ["", "~", "%", "%%_", "\\", "a\\", "'", '"; DROP TABLE dag_run; --', "0", "-1", "1e400", "nan", "9" * 19, "9" * 40,
       "2026-01-01T00:00:00Z", "0001-01-01", "9999-12-31T23:59:59Z", "\x00", "ü" * 300, "x" * 5000, "true", "none", "null",
       "-dag_id", "|", "|||", "a|b", "[]", "{}", "\ud7ff", "💥", "-9223372036854775808", "9223372036854775807"]
document = json.loads(call("/openapi.json")[1])
statuses = {}
for path, item in document["paths"].items():
    operation = item.get("get")
    if operation is None or operation["operationId"] == "wait_dag_run_until_finished":
        continue
    parameters = operation.get("parameters", [])
    queries = [p for p in parameters if p["in"] == "query"]
    for _ in range(min(60, 8 + 4 * len(queries))):
        place = path
        for p in parameters:
            if p["in"] == "path":
                known = names.get(p["name"], [])
                value = dice.choice(known) if known and dice.random() < 0.85 else dice.choice(odd[1:])
                place = place.replace("{" + p["name"] + "}", urllib.parse.quote(value, safe=""))
        asked = [(p["name"], dice.choice(odd)) for p in dice.sample(queries, min(len(queries), dice.randint(0, 3)))]
        accept = dice.choice(["application/json", "text/plain", "application/x-ndjson", "*/*"])
        status, answer = call(place + "?" + urllib.parse.urlencode(asked), accept=accept)
        assert status < 500, (status, place, asked, answer[:500])
        statuses[status] = statuses.get(status, 0) + 1
print(f"{sum(statuses.values())} odd requests: {statuses}")
