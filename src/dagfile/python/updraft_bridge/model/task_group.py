"""`TaskGroup`: a prefix for the ids of its tasks, and one end of an edge for all of them."""

from .. import notes
from . import stack
from .edge import Edgeable
from .exceptions import AirflowException, DuplicateTaskIdFound
from .operator import check_id
from .xcom_arg import mapped_group

KNOWN = {"tooltip", "ui_color", "ui_fgcolor", "group_display_name", "add_suffix_on_collision", "doc_md"}


class TaskGroup(Edgeable):
    def __init__(self, group_id=None, prefix_group_id=True, parent_group=None, dag=None, default_args=None,
                 tooltip="", expansion=None, **kwargs):
        self.dag = dag or (parent_group.dag if parent_group is not None else None) or stack.current_dag()
        if self.dag is None:
            raise AirflowException("task group `%s` is outside a DAG; put it in `with DAG(...)` or pass dag=" % group_id)
        self.file, self.line = notes.place_in_dag_file()
        self.parent_group = parent_group or stack.current_group(self.dag)
        self.prefix_group_id = prefix_group_id
        self.default_args = dict(default_args or {})
        # What all its tasks are expanded over together, or None.
        self.expansion = expansion
        self.display_name = kwargs.get("group_display_name")
        self.tooltip = tooltip or kwargs.get("tooltip", "")
        check_id("group_id", group_id)
        self._refuse_nesting(group_id)
        full = self.parent_group.child_id(group_id) if self.parent_group is not None else group_id
        if full in self.dag.task_groups:
            if not kwargs.get("add_suffix_on_collision"):
                raise DuplicateTaskIdFound("group id `%s` is used twice in DAG `%s`" % (full, self.dag.dag_id))
            n = 1
            while "%s__%d" % (full, n) in self.dag.task_groups:
                n += 1
            full = "%s__%d" % (full, n)
        self.group_id = full
        for name in kwargs:
            if name not in KNOWN:
                notes.warn("TaskGroup `%s` has no argument `%s`; it has no effect" % (full, name),
                           notes.did_you_mean(name, KNOWN | {"group_id", "prefix_group_id", "default_args", "dag"}))
        self.dag.task_groups[full] = self

    def _refuse_nesting(self, group_id):
        outer = mapped_group(self.parent_group)
        if self.expansion is not None and outer is not None:
            raise AirflowException(
                "group `%s` is expanded inside the expanded group `%s`; mapping inside a mapped group is not supported"
                % (group_id, outer.group_id)
            )

    @property
    def label(self):
        return self.group_id.rsplit(".", 1)[-1]

    def child_id(self, label):
        """The id that a task or group called `label` gets in this group."""
        if self.prefix_group_id:
            return "%s.%s" % (self.group_id, label)
        # A group without a prefix still stands inside those of its parents.
        return self.parent_group.child_id(label) if self.parent_group is not None else label

    def all_default_args(self):
        merged = self.parent_group.all_default_args() if self.parent_group is not None else {}
        merged.update(self.default_args)
        return merged

    def contains(self, task):
        group = task.task_group
        while group is not None:
            if group is self:
                return True
            group = group.parent_group
        return False

    @property
    def tasks(self):
        return [t for t in self.dag.tasks if self.contains(t)]

    @property
    def children(self):
        return {t.task_id: t for t in self.tasks if t.task_group is self}

    def roots_for_edges(self):
        inside = self.tasks
        return [t for t in inside if not any(u in t._upstream for u in inside)]

    def leaves_for_edges(self):
        """What comes after the group does not wait for its teardowns."""
        inside = self.tasks
        ends = [t for t in inside if not any(d in t._downstream for d in inside)]
        return list(dict.fromkeys(leaf for end in ends for leaf in self._before_teardowns(end, inside)))

    def _before_teardowns(self, task, inside):
        if not task.is_teardown:
            return [task]
        found = []
        for up in task.upstream_list:
            if up not in inside:
                continue
            if up.is_teardown:
                found.extend(self._before_teardowns(up, inside))
            elif not up.is_setup and not any(d in inside and not d.is_teardown for d in up.downstream_list):
                found.append(up)
        return found

    get_roots, get_leaves = roots_for_edges, leaves_for_edges

    @property
    def is_root(self):
        return False

    def has_task(self, task):
        return self.contains(task)

    def add(self, task):
        """Puts a task that was made outside into the group; its id stays."""
        if task.dag is None:
            self.dag.add_task(task)
        task.task_group = self
        return task

    def iter_tasks(self):
        return iter(self.tasks)

    def get_child_by_label(self, label):
        return self.dag.get_task(self.child_id(label))

    def __enter__(self):
        stack.push_dag(self.dag)
        stack.push_group(self)
        return self

    def __exit__(self, *exc):
        stack.pop_group()
        stack.pop_dag()

    def __repr__(self):
        return "<TaskGroup: %s>" % self.group_id
