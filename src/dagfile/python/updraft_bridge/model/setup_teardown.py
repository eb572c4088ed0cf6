"""Setups and teardowns: roles of tasks, and the `with` blocks that put work between them."""

from .exceptions import AirflowException
from .words import TriggerRule

# The `with` blocks that are open, innermost last.
_open = []


class Block:
    """The work inside `with setup:` or `with teardown:`."""

    def __init__(self, ends):
        self.setups, self.teardowns = setups_and_teardowns(ends)
        self.tasks = []

    def add_task(self, task):
        """Puts a task that was made before into the block."""
        task = getattr(task, "operator", task)
        if task not in self.tasks and task not in self.setups and task not in self.teardowns:
            self.tasks.append(task)

    def close(self):
        """What in the block has nothing before it comes after the setups; what has nothing after it, before the teardowns."""
        work = [t for t in self.tasks if not t.is_teardown]
        roots = [t for t in work if not t._upstream] or work[:1]
        for setup in self.setups:
            for task in roots:
                task._add_upstream(setup)
        work = [t for t in self.tasks if not t.is_setup]
        leaves = [t for t in work if not t._downstream] or work[-1:]
        for teardown in self.teardowns:
            for task in leaves:
                teardown._add_upstream(task)


def setups_and_teardowns(ends):
    """The setups and teardowns that a block stands between, from the one kind that was named."""
    first = ends[0]
    for task in ends:
        if not (task.is_setup or task.is_teardown):
            raise AirflowException("task `%s` is neither a setup nor a teardown, so it cannot stand in `with`; "
                                   "make it one with as_setup() or as_teardown()" % task.task_id)
        if task.is_setup != first.is_setup:
            raise AirflowException("expected only setups or only teardowns in `with`, got both")
    if first.is_teardown:
        return unique(up for t in ends for up in t.upstream_list if up.is_setup), list(ends)
    return list(ends), unique(down for t in ends for down in t.downstream_list if down.is_teardown)


def unique(tasks):
    return list(dict.fromkeys(tasks))


def enter(ends):
    _open.append(Block(ends))
    return _open[-1]


def leave():
    _open.pop().close()


def note(task):
    """A task was made: it belongs to the innermost block."""
    if _open:
        _open[-1].add_task(task)


def make_setup(task):
    if task.is_teardown:
        raise AirflowException("task `%s` is a teardown and cannot be a setup, too" % task.task_id)
    task.is_setup = True
    return task


def make_teardown(task, setups=None, on_failure_fail_dagrun=None):
    if task.is_setup:
        raise AirflowException("task `%s` is a setup and cannot be a teardown, too" % task.task_id)
    task.is_teardown = True
    task.trigger_rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
    if on_failure_fail_dagrun is not None:
        task.on_failure_fail_dagrun = on_failure_fail_dagrun
    for setup in [] if setups is None else setups if isinstance(setups, (list, tuple, set)) else [setups]:
        setup = getattr(setup, "operator", setup)
        make_setup(setup)
        task._add_upstream(setup)
    return task
