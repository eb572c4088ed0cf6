"""Describing a DAG file with the real Task SDK: the twin of `parse.py`.

The file gets Airflow's own classes, and Airflow's own checks and serialiser have
the say about what is a valid DAG. Importing Airflow counts neither against the
file's time nor against its memory.
"""

import os
import warnings

from . import imports, limits, notes, sdk_task


def parse(request, channel):
    sdk_task.surroundings()
    path, folder = os.path.abspath(request["file"]), request["dags_folder"]
    os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", folder)
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    from . import problem

    answer = {"type": "parsed", "dags": [], "problems": []}
    try:
        from airflow.sdk.definitions._internal.contextmanager import DagContext
        from airflow.serialization.serialized_objects import DagSerialization

        from . import sdk_spec
    except ImportError as error:
        answer["problems"].append(problem.describe(error, error.__traceback__, path, folder))
        answer["local_modules"] = []
        channel.send(answer)
        return
    # What Airflow warns itself of is nothing that the author could mend.
    warnings.filterwarnings("ignore", module=r"airflow($|\.)")
    megabytes = request.get("memory_mb")
    limits.memory(megabytes and megabytes + taken())
    limits.processes()
    imports.use_folder(folder)
    module, own = None, os.getpid()
    DagContext.autoregistered_dags.clear()
    DagContext.current_autoregister_module_name = imports.name_of(path)
    try:
        limits.time(request["seconds"])
        module = imports.load(path)
        limits.stop_time()
    except BaseException as error:  # noqa: B902  (SystemExit and our own, too)
        limits.stop_time()
        limits.lift_memory()
        answer["problems"].append(problem.describe(error, error.__traceback__, path, folder, megabytes))
    if os.getpid() != own:
        # A copy that the file forked off: the answer is not its to give.
        os._exit(0)
    limits.lift_memory()
    DagContext.current_autoregister_module_name = None
    if module is not None:
        for dag in found(module, DagContext, answer, path, folder):
            describe(dag, path, folder, answer, sdk_spec, DagSerialization)
    for said in notes.warnings:
        answer["problems"].append({
            "severity": "warning", "file": imports.relative(said["file"] or path, folder),
            "line": said["line"], "column": None,
            "message": said["message"], "hint": said["hint"], "detail": None,
        })
    answer["local_modules"] = imports.local_modules(folder, path)
    channel.send(answer)


def found(module, context, answer, path, folder):
    """The file's DAGs, each once; two of one name are a mistake."""
    from airflow.sdk import DAG

    dags, by_id = [], {}
    for value in [*vars(module).values(), *(dag for dag, of in context.autoregistered_dags if of is module)]:
        if isinstance(value, DAG) and not any(value is dag for dag in dags):
            dags.append(value)
    for dag in dags:
        if by_id.setdefault(dag.dag_id, dag) is not dag:
            answer["problems"].append(said(path, folder, "DAG `%s` is defined twice in this file" % dag.dag_id,
                                           "give each DAG an id of its own"))
    return list(by_id.values())


def describe(dag, path, folder, answer, sdk_spec, serialization):
    from . import problem

    dag.fileloc = path
    dag.relative_fileloc = imports.relative(path, folder)
    try:
        dag.validate()
        dag.check_cycle()
        # What Airflow could not keep it would refuse.
        serialization.to_dict(dag)
        answer["dags"].append(sdk_spec.dag_spec(dag, path, folder))
    except Exception as error:
        answer["problems"].append(said(path, folder, "DAG `%s`: %s" % (dag.dag_id, problem.sentence(error)), None,
                                       problem.text_of(error, error.__traceback__)))


def said(path, folder, message, hint=None, detail=None):
    return {"severity": "error", "file": imports.relative(path, folder), "line": None, "column": None,
            "message": message, "hint": hint, "detail": detail}


def taken():
    """MiB of address space that are taken already."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") >> 20
