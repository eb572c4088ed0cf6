"""Describing a DAG file: import it, collect its DAGs, answer with specs and problems."""

import os

from . import finder, imports, limits, notes


def parse(request, channel):
    path, folder = os.path.abspath(request["file"]), request["dags_folder"]
    limits.memory(request.get("memory_mb"))
    limits.processes()
    finder.install()
    imports.use_folder(folder)
    imports.note_reads(folder)
    answer = {"type": "parsed", "dags": [], "problems": []}
    imports.describing = True
    imports.asking = channel if request.get("values") else None
    module, own, wanted = None, os.getpid(), []
    try:
        limits.time(request["seconds"])
        module = imports.load(path)
        limits.stop_time()
    except BaseException as error:  # noqa: B902  (SystemExit and our own, too)
        limits.stop_time()
        limits.lift_memory()
        from . import problem  # Only a file with a mistake in it pays for this.

        wanted = imports.wanted_modules(folder, error)
        answer["problems"].append(problem.describe(error, error.__traceback__, path, folder, request.get("memory_mb")))
    if os.getpid() != own:
        # A copy that the file forked off: the answer is not its to give.
        os._exit(0)
    limits.lift_memory()
    if module is not None:
        collect(module, path, folder, answer)
    for said in notes.warnings:
        answer["problems"].append({
            "severity": "warning",
            "file": imports.relative(said["file"] or path, folder),
            "line": said["line"], "column": None,
            "message": said["message"], "hint": said["hint"], "detail": None,
        })
    answer["local_modules"] = imports.local_modules(folder, path) + wanted
    channel.send(answer)


def collect(module, path, folder, answer):
    from . import spec
    from .model import dag as dags

    found = []
    for value in [*vars(module).values(), *dags.used]:
        if isinstance(value, dags.DAG) and value not in found:
            found.append(value)
    # The order of the file, whatever the names are.
    found.sort(key=dags.made.index)
    by_id = {}
    for dag in found:
        first = by_id.setdefault(dag.dag_id, dag)
        if first is not dag:
            answer["problems"].append(at(dag, folder, "DAG `%s` is defined twice in this file: first in line %s, again in line %s"
                                         % (dag.dag_id, first.line, dag.line), "give each DAG an id of its own"))
            continue
        cycle = find_cycle(dag)
        if cycle:
            answer["problems"].append(at(
                cycle[0], folder, "DAG `%s` has a cycle: %s" % (dag.dag_id, " -> ".join(t.task_id for t in cycle)),
                "remove one of these edges: a task cannot wait for itself",
            ))
            continue
        try:
            answer["dags"].append(spec.dag_spec(dag, path, folder))
        except Exception as error:
            from . import problem

            answer["problems"].append(at(dag, folder, problem.sentence(error), None,
                                         problem.text_of(error, error.__traceback__)))
    explain_lost(dags, found, folder)
    later = {task.comes_later or task.operator_name: task for dag in found for task in dag.tasks if task.comes_later}
    for what, task in later.items():
        why = getattr(task, "why", None) or "%s comes with a later version of Updraft" % what
        notes.warn("task `%s` loads but cannot run: %s" % (task.task_id, why), place=(task.file, task.line))


def explain_lost(dags, found, folder):
    """DAGs that were made and that nothing finds, as a person would want to hear of it."""
    for dag in dags.made:
        if dag not in found:
            notes.warn(
                "DAG `%s` is not used: it is neither a variable of the file nor in a `with` block" % dag.dag_id,
                "assign it to a variable at the top level, or write `with DAG(...)`", place=(dag.file, dag.line),
            )
    for function, place in dags.decorated:
        if function not in dags.called:
            notes.warn("the @dag function `%s` is never called, so it makes no DAG" % function.__name__,
                       "add `%s()` at the end of the file" % function.__name__, place=place)


def at(thing, folder, message, hint=None, detail=None):
    return {"severity": "error", "file": imports.relative(thing.file, folder), "line": thing.line, "column": None,
            "message": message, "hint": hint, "detail": detail}


def find_cycle(dag):
    """The tasks of one cycle, the first again at the end; None for a graph without one."""
    done, path, on_path = set(), [], {}
    for root in dag.tasks:
        if root in done:
            continue
        stack = [(root, iter(root.downstream_list))]
        path, on_path = [root], {root: 0}
        while stack:
            task, downstream = stack[-1]
            following = next(downstream, None)
            if following is None:
                stack.pop()
                path.pop()
                del on_path[task]
                done.add(task)
            elif following in on_path:
                return path[on_path[following]:] + [following]
            elif following not in done:
                stack.append((following, iter(following.downstream_list)))
                on_path[following] = len(path)
                path.append(following)
    return None
