"""Edges: `>>`, `<<`, set_upstream, set_downstream, chain and labels.

Whatever can stand beside an arrow is an `Edgeable`: it says which tasks are
its first ones (`roots`) and which are its last ones (`leaves`).
"""


class EdgeModifier:
    """A label on an edge, as in `a >> Label("yes") >> b`. The label itself is for people only."""

    def __init__(self, label=None):
        self.label = label
        self._upstream = []
        self._downstream = []

    def _connect(self):
        for up in self._upstream:
            for down in self._downstream:
                wire(up, down)

    def __rshift__(self, other):
        self._downstream.extend(as_list(other))
        self._connect()
        return other

    def __lshift__(self, other):
        self._upstream.extend(as_list(other))
        self._connect()
        return other

    def __rrshift__(self, other):
        self.__lshift__(other)
        return self

    def __rlshift__(self, other):
        self.__rshift__(other)
        return self


def Label(label):
    return EdgeModifier(label)


class Edgeable:
    """What can stand beside an arrow."""

    def roots_for_edges(self):
        raise NotImplementedError

    def leaves_for_edges(self):
        raise NotImplementedError

    def set_upstream(self, other, edge_modifier=None):
        for one in as_list(other):
            if isinstance(one, EdgeModifier):
                one.__rshift__(self)
            else:
                wire(one, self)

    def set_downstream(self, other, edge_modifier=None):
        for one in as_list(other):
            if isinstance(one, EdgeModifier):
                one.__lshift__(self)
            else:
                wire(self, one)

    def __rshift__(self, other):
        self.set_downstream(other)
        return other

    def __lshift__(self, other):
        self.set_upstream(other)
        return other

    # Called when a list stands on the left: `[a, b] >> c`.
    def __rrshift__(self, other):
        self.set_upstream(other)
        return self

    def __rlshift__(self, other):
        self.set_downstream(other)
        return self


def as_list(value):
    """One thing, or several in a list, tuple or set, however deep, as a flat list."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return [one for part in value for one in as_list(part)]
    return [value]


def wire(upstream, downstream):
    """Every leaf of `upstream` comes before every root of `downstream`."""
    for end in (upstream, downstream):
        if not isinstance(end, Edgeable):
            raise TypeError(
                "expected a task, a task group or a list of them beside `>>` or `<<`, got: %s %r"
                % (type(end).__name__, end)
            )
    for up in upstream.leaves_for_edges():
        for down in downstream.roots_for_edges():
            down._add_upstream(up)


def chain(*tasks):
    """`chain(a, [b, c], [d, e], f)`: lists of equal length beside each other are joined pairwise."""
    for up, down in zip(tasks, tasks[1:]):
        ups, downs = isinstance(up, (list, tuple)), isinstance(down, (list, tuple))
        if ups and downs:
            if len(up) != len(down):
                raise ValueError(
                    "chain joins lists beside each other pairwise; expected equal lengths, got: %d and %d"
                    % (len(up), len(down))
                )
            for one, other in zip(up, down):
                _join(one, other)
        else:
            _join(up, down)


def chain_linear(*tasks):
    """Like `chain`, but every element of a list comes before every element of the next."""
    tasks = [t for t in tasks if as_list(t)]
    for up, down in zip(tasks, tasks[1:]):
        _join(up, down)


def cross_downstream(from_tasks, to_tasks):
    """Every one of the first before every one of the second."""
    _join(from_tasks, to_tasks)


def _join(up, down):
    for one in as_list(up):
        for other in as_list(down):
            if isinstance(one, EdgeModifier):
                one >> other
            elif isinstance(other, EdgeModifier):
                other << one
            else:
                wire(one, other)
