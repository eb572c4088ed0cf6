"""The fuzzer by the API's own document, bounded and always the same: `fuzz.py URL PASSWORD`."""

import json
import subprocess
import sys
import urllib.request

url, password = sys.argv[1:3]
body = json.dumps({"username": "admin", "password": password}).encode()
request = urllib.request.Request(url + "/auth/token", body, {"Content-Type": "application/json"})
token = json.loads(urllib.request.urlopen(request).read())["access_token"]
checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
fuzzer = subprocess.run(
    [sys.executable, "-m", "schemathesis.cli", "run", url + "/openapi.json", "--header", f"Authorization: Bearer {token}",
     "--checks", checks, "--max-examples", "8", "--seed", "20261121", "--phases", "coverage,fuzzing",
     "--generation-database", "none", "--request-timeout", "10", "--workers", "2",
     # It waits for a run as long as that takes.
     "--exclude-operation-id", "wait_dag_run_until_finished"],
    capture_output=True, text=True)
print(fuzzer.stdout[-20000:], fuzzer.stderr[-5000:])
sys.exit(fuzzer.returncode)
