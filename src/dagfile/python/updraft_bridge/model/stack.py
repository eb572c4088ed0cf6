"""Which DAG and which task group a `with` block has made the current ones."""

_dags = []
_groups = []


def current_dag():
    return _dags[-1] if _dags else None


def push_dag(dag):
    _dags.append(dag)


def pop_dag():
    return _dags.pop()


def current_group(dag):
    """The innermost open task group of `dag`, or None."""
    for group in reversed(_groups):
        if group.dag is dag:
            return group
    return None


def push_group(group):
    _groups.append(group)


def pop_group():
    return _groups.pop()
