"""A working day with the API, through the unmodified client: `story.py URL PASSWORD`."""

import json
import sys
import time
import urllib.request
from datetime import datetime, timezone

import airflow_client.client as airflow
from airflow_client.client.api import (
    AssetApi, BackfillApi, ConfigApi, ConnectionApi, DAGApi, DagRunApi, DagSourceApi, DagStatsApi, DagVersionApi,
    DagWarningApi, EventLogApi, ImportErrorApi, JobApi, MonitorApi, PluginApi, PoolApi, ProviderApi, TaskApi,
    TaskInstanceApi, VariableApi, VersionApi, XComApi)
from airflow_client.client.exceptions import ApiException
from airflow_client.client import models as m

url, password = sys.argv[1:3]


def call(path, body=None, headers=None, method=None):
    """A request by hand: its status and what it answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def refused(status, do, *args, **named):
    """It is refused with this status; the detail."""
    try:
        do(*args, **named)
    except ApiException as error:
        assert error.status == status, (error.status, error.body)
        return json.loads(error.body)["detail"]
    raise AssertionError(f"{do} was not refused")


def until(what, look):
    for _ in range(600):
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


status, answer = call("/auth/token", {"username": "admin", "password": password})
assert status == 201, answer
token = json.loads(answer)["access_token"]
assert call("/api/v2/dags")[0] == 401
client = airflow.ApiClient(airflow.Configuration(host=url, access_token=token))

# What there is.
assert VersionApi(client).get_version().version
health = MonitorApi(client).get_health()
assert health.metadatabase.status == health.scheduler.status == "healthy"
dags = DAGApi(client)
page = dags.get_dags()
assert [dag.dag_id for dag in page.dags] == ["consumer", "etl", "nightly"] and page.total_entries == 3
assert [dag.dag_id for dag in dags.get_dags(tags=["team-a"]).dags] == ["etl"]
assert [dag.dag_id for dag in dags.get_dags(owners=["ada"]).dags] == ["etl"]
assert [dag.dag_id for dag in dags.get_dags(dag_id_pattern="ETL").dags] == ["etl"]
assert [dag.dag_id for dag in dags.get_dags(order_by=["-dag_id"], limit=1, offset=1).dags] == ["etl"]
assert "no_such" in refused(400, dags.get_dags, order_by=["no_such"])
status, answer = call("/api/v2/dags?limit=-1", headers={"Authorization": f"Bearer {token}"})
assert status == 422 and json.loads(answer)["detail"][0]["loc"] == ["query", "limit"], answer
assert dags.get_dag("etl").tags[0].name == "team-a"
details = dags.get_dag_details("etl")
assert details.doc_md == "# What it does" and details.params["name"]["value"] == "world"
assert details.latest_dag_version.version_number == 1
assert refused(404, dags.get_dag, "nobody") == "The Dag with ID: `nobody` was not found"
assert dags.get_dag_tags().tags == ["nightly", "team-a", "team-b"]
assert dags.patch_dag("nightly", m.DAGPatchBody(is_paused=True)).is_paused
assert [dag.dag_id for dag in dags.get_dags(paused=True).dags] == ["nightly"]
assert not dags.patch_dag("nightly", m.DAGPatchBody(is_paused=False)).is_paused
assert {dag.is_paused for dag in dags.patch_dags(m.DAGPatchBody(is_paused=False), dag_id_pattern="~").dags} == {False}
tasks = TaskApi(client).get_tasks("etl")
assert [task.task_id for task in tasks.tasks] == ["extract", "load", "transform"]
assert TaskApi(client).get_task("etl", "extract").downstream_task_ids == ["transform"]
refused(404, TaskApi(client).get_task, "etl", "nobody")
assert "Three steps" in DagSourceApi(client).get_dag_source("etl").content
assert call("/api/v2/dagSources/etl", headers={"Authorization": f"Bearer {token}", "Accept": "text/plain"})[1].startswith("description")
assert DagVersionApi(client).get_dag_versions("etl").total_entries == 1
assert DagVersionApi(client).get_dag_version("etl", 1).dag_id == "etl"
warning = DagWarningApi(client).list_dag_warnings().dag_warnings[0]
assert warning.dag_id == "nightly" and "nobody_made_it" in warning.message
problem = ImportErrorApi(client).get_import_errors().import_errors[0]
assert problem.filename == "broken.yaml" and problem.stack_trace
assert ImportErrorApi(client).get_import_error(problem.import_error_id) == problem

# A run.
runs, instances = DagRunApi(client), TaskInstanceApi(client)
run = runs.trigger_dag_run("etl", m.TriggerDAGRunPostBody(
    dag_run_id="one", logical_date=datetime(2026, 1, 1, tzinfo=timezone.utc), conf={"name": "you"}, note="by hand"))
assert (run.dag_run_id, run.run_type, run.triggered_by, run.note) == ("one", "manual", "rest_api", "by hand")
assert run.triggering_user_name == "admin" and run.conf == {"name": "you"}
status, answer = call("/api/v2/dags/etl/dagRuns", {}, {"Authorization": f"Bearer {token}"})
assert status == 422 and json.loads(answer)["detail"][0]["loc"] == ["body", "logical_date"], answer
status, answer = call("/api/v2/dags/etl/dagRuns", {"logical_date": None, "nonsense": 1}, {"Authorization": f"Bearer {token}"})
assert status == 422 and json.loads(answer)["detail"][0]["type"] == "extra_forbidden", answer
refused(409, runs.trigger_dag_run, "etl", m.TriggerDAGRunPostBody(dag_run_id="one"))
refused(404, runs.trigger_dag_run, "nobody", m.TriggerDAGRunPostBody())
status, lines = call("/api/v2/dags/etl/dagRuns/one/wait?interval=0.1&result=extract", headers={"Authorization": f"Bearer {token}"})
last = json.loads(lines.splitlines()[-1])
assert last["state"] == "success" and last["results"] == {"extract": '{"rows": 3}'}, lines
done = runs.get_dag_run("etl", "one")
assert done.state == "success" and done.duration > 0 and done.dag_versions[0].version_number == 1
for n in range(3):
    runs.trigger_dag_run("etl", m.TriggerDAGRunPostBody(dag_run_id=f"more{n}"))
runs.trigger_dag_run("etl", m.TriggerDAGRunPostBody(dag_run_id="fails"))
failed = until("a run fails", lambda: [r for r in runs.get_dag_runs("etl", state=["failed"]).dag_runs])
assert [r.dag_run_id for r in failed] == ["fails"]
until("all are over", lambda: runs.get_dag_runs("etl", state=["running", "queued"]).total_entries == 0)
page = runs.get_dag_runs("etl", limit=2, order_by=["-run_after"])
assert page.total_entries == 5 and [r.dag_run_id for r in page.dag_runs] == ["fails", "more2"]
assert runs.get_dag_runs("etl", run_id_pattern="MORE").total_entries == 3
assert runs.get_dag_runs("etl", logical_date_gte=datetime(2026, 1, 1, tzinfo=timezone.utc)).total_entries == 1
seen, cursor = [], ""
while cursor is not None:
    page = runs.get_dag_runs("etl", limit=2, cursor=cursor)
    seen, cursor = seen + [r.dag_run_id for r in page.dag_runs], page.next_cursor
assert seen == ["one", "more0", "more1", "more2", "fails"], seen
batch = runs.get_list_dag_runs_batch("~", m.DAGRunsBatchBody(dag_ids=["etl"], states=["success"], page_limit=1))
assert batch.total_entries == 4 and len(batch.dag_runs) == 1
refused(404, runs.get_dag_run, "etl", "nobody")
stats = DagStatsApi(client).get_dag_stats(dag_ids=["etl"]).dags[0].stats
assert {count.state.value: count.count for count in stats} == {"queued": 0, "running": 0, "success": 4, "failed": 1}

# Its tasks.
page = instances.get_task_instances("etl", "fails")
assert [(t.task_id, t.state) for t in page.task_instances] == [
    ("extract", "success"), ("load", "upstream_failed"), ("transform", "failed")]
one = instances.get_task_instance("etl", "one", "extract")
assert one.try_number == 1 and one.operator == "BashOperator" and one.pool == "default_pool" and one.hostname
assert instances.get_task_instances("~", "~", state=["failed"]).total_entries == 1
assert instances.get_task_instances("etl", "~", task_id="load").total_entries == 5
assert instances.get_task_instances("etl", "~", duration_gte=3600.0).total_entries == 0
batch = instances.get_task_instances_batch("~", "~", m.TaskInstancesBatchBody(dag_ids=["etl"], state=["failed"]))
assert batch.total_entries == 1
assert instances.get_task_instance_tries("etl", "fails", "transform").task_instances[0].state == "failed"
assert instances.get_task_instance_try_details("etl", "fails", "transform", 1).try_number == 1
refused(404, instances.get_task_instance, "etl", "one", "nobody")
refused(404, instances.get_mapped_task_instance, "etl", "one", "extract", 4)
assert instances.get_extra_links("etl", "one", "extract").total_entries == 0
assert instances.get_hitl_details("etl", "one").total_entries == 0
assert instances.get_task_instance_dependencies("etl", "one", "extract").dependencies == []
refused(400, instances.get_external_log_url, "etl", "one", "extract", 1)

# Logs.
log = instances.get_log("etl", "one", "extract", 1)
lines = log.content.actual_instance
assert any(line.event == "extracting" for line in lines) and log.continuation_token is None
here = f"/api/v2/dags/etl/dagRuns/one/taskInstances/extract/logs/1"
bearer = {"Authorization": f"Bearer {token}"}
plain = call(here, headers={**bearer, "Accept": "text/plain"})[1]
assert "INFO - extracting\n" in plain, plain
stream = [json.loads(line) for line in call(here, headers={**bearer, "Accept": "application/x-ndjson"})[1].splitlines()]
whole = json.loads(call(here + "?full_content=true", headers=bearer)[1])["content"]
assert stream == whole and [line["event"] for line in whole] == [line.event for line in lines]
assert whole[0]["timestamp"] and whole[0]["level"] == "info"
refused(404, instances.get_log, "etl", "one", "extract", 7)
refused(400, instances.get_log, "etl", "one", "extract", 1, token="forged")

# Values.
xcoms = XComApi(client)
assert [x.key for x in xcoms.get_xcom_entries("etl", "one", "extract").xcom_entries] == ["return_value"]
assert xcoms.get_xcom_entries("~", "~", "~", xcom_key_pattern="return").total_entries >= 5
assert xcoms.get_xcom_entry("etl", "extract", "one", "return_value").actual_instance.value == '{"rows": 3}'
refused(404, xcoms.get_xcom_entry, "etl", "extract", "one", "nothing")

# What people change.
patch = m.PatchTaskInstanceBody(new_state="success")
assert instances.patch_task_instance_dry_run("etl", "fails", "transform", patch).total_entries == 1
assert instances.get_task_instance("etl", "fails", "transform").state == "failed"
assert instances.patch_task_instance("etl", "fails", "transform", patch).task_instances[0].state == "success"
until("what failed because of it runs", lambda: runs.get_dag_run("etl", "fails").state == "success")
load = [m.ClearTaskInstancesBodyTaskIdsInner("load")]
planned = instances.post_clear_task_instances("etl", m.ClearTaskInstancesBody(dag_run_id="one", only_failed=False, task_ids=load))
assert [t.actual_instance.task_id if hasattr(t, "actual_instance") else t.task_id for t in planned.task_instances] == ["load"]
assert instances.get_task_instance("etl", "one", "load").try_number == 1
instances.post_clear_task_instances("etl", m.ClearTaskInstancesBody(
    dry_run=False, dag_run_id="one", only_failed=False, task_ids=load))
until("it ran again", lambda: instances.get_task_instance("etl", "one", "load").try_number == 2
      and runs.get_dag_run("etl", "one").state == "success")
assert [t.try_number for t in instances.get_task_instance_tries("etl", "one", "load").task_instances] == [1, 2]
noted = runs.patch_dag_run("etl", "one", m.DAGRunPatchBody(note="seen"), update_mask=["note"])
assert (noted.note, noted.state) == ("seen", "success") and runs.get_dag_run("etl", "one").note == "seen"
assert runs.patch_dag_run("etl", "more1", m.DAGRunPatchBody(state="failed")).state == "failed"
# By hand: the client cannot read what a dry run answers, Airflow's own neither (every task instance fits two of its models).
status, answer = call("/api/v2/dags/etl/dagRuns/more0/clear", {}, bearer)
assert status == 200 and json.loads(answer)["total_entries"] == 3, answer
assert runs.clear_dag_run("etl", "more0", m.DAGRunClearBody(dry_run=False)).actual_instance.dag_run_id == "more0"
until("it is over again", lambda: runs.get_dag_run("etl", "more0").state == "success")
runs.delete_dag_run("etl", "more0")
refused(404, runs.get_dag_run, "etl", "more0")
assert instances.get_task_instances("etl", "~").total_entries == 12
done = runs.bulk_dag_runs("etl", m.BulkBodyBulkDAGRunBody.from_dict({"actions": [
    {"action": "delete", "entities": ["more1", "nobody"]}]}))
assert done.delete.success == ["more1"] and done.delete.errors[0]["status_code"] == 404
instances.bulk_task_instances("etl", "one", m.BulkBodyBulkTaskInstanceBody.from_dict({"actions": [
    {"action": "update", "entities": [{"task_id": "load", "new_state": "failed"}]}]}))
assert instances.get_task_instance("etl", "one", "load").state == "failed"

# Pools.
pools = PoolApi(client)
pool = pools.post_pool(m.PoolBody(name="small", slots=2, description="few"))
assert (pool.open_slots, pool.occupied_slots) == (2, 0)
assert refused(409, pools.post_pool, m.PoolBody(name="small", slots=2))["reason"] == "Unique constraint violation"
assert pools.patch_pool("small", m.PoolPatchBody(slots=-1)).open_slots == -1
assert pools.get_pool("small").description == "few"
assert [p.name for p in pools.get_pools(order_by=["-name"]).pools] == ["small", "default_pool"]
pools.delete_pool("small")
refused(404, pools.get_pool, "small")
refused(400, pools.delete_pool, "default_pool")
done = pools.bulk_pools(m.BulkBodyPoolBody.from_dict({"actions": [
    {"action": "create", "entities": [{"name": "a", "slots": 1}, {"name": "default_pool", "slots": 1}]}]}))
assert done.create.success == ["a"] and done.create.errors[0]["status_code"] == 409

# Variables.
variables = VariableApi(client)
assert variables.post_variable(m.VariableBody(key="place/of work", value={"city": "Ulm"})).value == '{"city":"Ulm"}'
assert refused(409, variables.post_variable, m.VariableBody(key="place/of work", value="x")).endswith("already exists")
assert variables.get_variable("place/of work").is_encrypted
changed = variables.patch_variable("place/of work", m.VariableBody(key="place/of work", value="Ulm", description="home"), update_mask=["value"])
assert (changed.value, changed.description) == ("Ulm", None)
variables.post_variable(m.VariableBody(key="api_password", value="geheim"))
assert variables.get_variable("api_password").value == "***"
assert [v.key for v in variables.get_variables(variable_key_pattern="place").variables] == ["place/of work"]
variables.delete_variable("place/of work")
refused(404, variables.get_variable, "place/of work")
done = variables.bulk_variables(m.BulkBodyVariableBody.from_dict({"actions": [
    {"action": "create", "entities": [{"key": "k", "value": "1"}, {"key": "api_password", "value": "x"}], "action_on_existence": "skip"},
    {"action": "delete", "entities": ["k"]}]}))
assert (done.create.success, done.create.errors, done.delete.success) == (["k"], [], ["k"])

# Connections.
connections = ConnectionApi(client)
made = connections.post_connection(m.ConnectionBody(
    connection_id="db", conn_type="postgres", host="h", login="me", password="geheim", port=5432,
    extra='{"sslmode": "require", "secret_key": "geheim"}'))
assert made.password == "***" and "geheim" not in made.extra and "require" in made.extra
refused(409, connections.post_connection, m.ConnectionBody(connection_id="db", conn_type="postgres"))
assert connections.patch_connection("db", m.ConnectionBody(connection_id="db", conn_type="postgres", host="other"), update_mask=["host"]).host == "other"
assert connections.get_connection("db").login == "me"
assert connections.get_connections().total_entries == 1
assert "disabled" in refused(403, connections.test_connection, m.ConnectionBody(connection_id="db", conn_type="postgres"))
connections.delete_connection("db")
refused(404, connections.get_connection, "db")

# Assets.
assets = AssetApi(client)
asset = assets.get_assets().assets[0]
assert asset.name == "warehouse" and [t.task_id for t in asset.producing_tasks] == ["load"]
assert [d.dag_id for d in asset.scheduled_dags] == ["consumer"] and assets.get_asset(asset.id) == asset
events = assets.get_asset_events(asset_id=asset.id, source_run_id="one")
assert {event.source_task_id for event in events.asset_events} == {"load"}
followed = until("the consumer ran", lambda: runs.get_dag_runs("consumer", state=["success"]).dag_runs)
assert followed[0].run_type == "asset_triggered"
assert runs.get_upstream_asset_events("consumer", followed[0].dag_run_id).asset_events[0].name == "warehouse"
assert assets.materialize_asset(asset.id).run_type == "asset_materialization"
assert assets.get_asset_aliases().total_entries == 0
refused(404, assets.get_asset, 1)
refused(404, assets.get_asset_queued_events, asset.id)

# Backfills.
backfills = BackfillApi(client)
body = m.BackfillPostBody(dag_id="nightly", from_date=datetime(2026, 2, 1, tzinfo=timezone.utc), to_date=datetime(2026, 2, 3, tzinfo=timezone.utc), max_active_runs=1)
assert backfills.create_backfill_dry_run(body).total_entries in (2, 3)
backfill = backfills.create_backfill(body)
refused(409, backfills.create_backfill, body)
assert backfills.pause_backfill(backfill.id).is_paused
assert not backfills.unpause_backfill(backfill.id).is_paused
assert backfills.get_backfill(backfill.id).dag_id == "nightly"
assert backfills.cancel_backfill(backfill.id).completed_at
refused(409, backfills.cancel_backfill, backfill.id)
assert backfills.list_backfills(dag_id="nightly").total_entries == 1
refused(404, backfills.get_backfill, 77)
refused(400, backfills.create_backfill, m.BackfillPostBody(dag_id="etl", from_date=body.from_date, to_date=body.to_date))

# The rest.
logs = EventLogApi(client)
mine = logs.get_event_logs(dag_id="etl", event="trigger_dag_run", owner="admin")
assert mine.total_entries >= 5 and mine.event_logs[0].run_id == "one"
assert logs.get_event_log(mine.event_logs[0].event_log_id).event == "trigger_dag_run"
assert "geheim" not in str(logs.get_event_logs(limit=100))
assert JobApi(client).get_jobs(is_alive=True).jobs[0].job_type == "SchedulerJob"
config = ConfigApi(client).get_config(section="core").sections[0]
assert config.name == "core" and any(option.key == "executor" for option in config.options)
assert ConfigApi(client).get_config_value("core", "parallelism").sections[0].options[0].value.actual_instance
refused(404, ConfigApi(client).get_config_value, "core", "nothing")
assert PluginApi(client).get_plugins().total_entries == ProviderApi(client).get_providers().total_entries == 0
dags.delete_dag("nightly")
refused(404, runs.get_dag_run, "nightly", "nobody")

# Airflow 2's clients: Basic, execution_date, errors as RFC 7807.
import base64
basic = {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}
status, answer = call("/api/v1/dags/etl/dagRuns", {"conf": {}, "dag_run_id": "old"}, basic)
assert status == 200 and "execution_date" in json.loads(answer), answer
status, answer = call("/api/v1/dags/nobody", headers=basic)
assert status == 404 and set(json.loads(answer)) == {"detail", "status", "title", "type"}, answer
assert call("/api/v1/dags/etl/updateTaskInstancesState", {
    "task_id": "load", "dag_run_id": "one", "new_state": "success", "dry_run": False}, basic)[0] == 200
assert 'id="trigger_dag_run"' in call("/docs", headers=bearer)[1]
print("the client is served")
