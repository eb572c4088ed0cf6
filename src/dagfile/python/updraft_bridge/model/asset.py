"""Assets (Airflow 2: datasets): what tasks make, and what DAGs wait for."""

import json

from .. import notes
from .exceptions import AirflowException
from .timetables import Timetable


class BaseAsset:
    """What can stand in a schedule: `a & b` are both of them, `a | b` is either."""

    def __and__(self, other):
        return AssetAll(self, other) if isinstance(other, BaseAsset) else NotImplemented

    def __or__(self, other):
        return AssetAny(self, other) if isinstance(other, BaseAsset) else NotImplemented


class Asset(BaseAsset):
    """`Asset("name", "s3://bucket/key")`, `Asset("s3://bucket/key")`, `Asset(name="name")`."""

    def __init__(self, name=None, uri=None, *, group="asset", extra=None, watchers=None, **unknown):
        for word in unknown:
            notes.warn("%s(%r) has no argument `%s`; it has no effect" % (type(self).__name__, name or uri, word),
                       notes.did_you_mean(word, ("name", "uri", "group", "extra", "watchers")))
        if name is None and uri is None:
            raise TypeError("%s() needs a name or a uri" % type(self).__name__)
        for what, value in (("name", name), ("uri", uri)):
            if value is not None and not isinstance(value, str):
                raise TypeError("expected the %s of an asset to be of type str, got: %r" % (what, value))
        self.name = uri if name is None else name
        self.uri = name if uri is None else uri
        self.group, self.extra = group or "asset", dict(extra or {})
        self.watchers = list(watchers or [])

    @staticmethod
    def ref(*, name=None, uri=None):
        return Asset(name=name, uri=uri)

    def __eq__(self, other):
        return isinstance(other, Asset) and (self.name, self.uri) == (other.name, other.uri)

    def __hash__(self):
        return hash((self.name, self.uri))

    def __fspath__(self):
        return self.uri

    def __repr__(self):
        return "Asset(name=%r, uri=%r)" % (self.name, self.uri)


class Dataset(Asset):
    """Airflow 2's name, which is known by its URI alone."""

    def __init__(self, uri, extra=None, *, name=None, group="asset"):
        super().__init__(name=name, uri=uri, group=group, extra=extra)


class Model(Asset):
    """An asset of the group `model`."""

    def __init__(self, name=None, uri=None, *, group="model", extra=None):
        super().__init__(name, uri, group=group, extra=extra)


class AssetAlias(BaseAsset):
    """Stands for the assets that tasks add to it while they run."""

    def __init__(self, name, *, group="asset"):
        self.name, self.group = name, group

    def __eq__(self, other):
        return isinstance(other, AssetAlias) and self.name == other.name

    def __hash__(self):
        return hash(("alias", self.name))

    def __repr__(self):
        return "AssetAlias(name=%r)" % self.name


class AssetAll(BaseAsset):
    """All of these."""

    def __init__(self, *objects):
        for one in objects:
            if not isinstance(one, BaseAsset):
                raise TypeError("expected only assets in %s, got: %r" % (type(self).__name__, one))
        # `a & b & c` reads as one list.
        self.objects = [p for o in objects for p in (o.objects if type(o) is type(self) else [o])]

    def __repr__(self):
        return "%s(%s)" % (type(self).__name__, ", ".join(map(repr, self.objects)))


class AssetAny(AssetAll):
    """Any of these."""


class AssetWatcher:
    """What changes an asset from outside. It is kept with the asset; nothing watches yet."""

    def __init__(self, name, trigger):
        self.name, self.trigger = name, trigger


class AssetOrTimeSchedule(Timetable):
    """When the assets have changed, and at the times of a timetable besides."""

    def __init__(self, *, timetable, assets=None, datasets=None):
        self.timetable = timetable
        self.assets = datasets if assets is None else assets


class DatasetOrTimeSchedule(AssetOrTimeSchedule):
    """Airflow 2's name."""


class Metadata:
    """What a task yields to say something of an asset that it has changed."""

    def __init__(self, asset, extra=None, alias=None):
        self.asset, self.extra, self.alias = asset, extra or {}, alias


# -- as the Rust side reads them

def is_asset(value):
    return isinstance(value, (BaseAsset, AssetOrTimeSchedule))


def written(asset):
    """One asset or alias as a mapping."""
    if isinstance(asset, AssetAlias):
        return {"alias": asset.name}
    if isinstance(asset, Asset):
        spec = {"name": asset.name, "uri": asset.uri}
        if asset.group != "asset":
            spec["group"] = asset.group
        if asset.extra:
            spec["extra"] = asset.extra
        return spec
    raise AirflowException("expected an Asset, a Dataset or an AssetAlias, got: %r" % (asset,))


def condition(value):
    """A schedule on assets: a list is all of them."""
    if isinstance(value, (list, tuple, set)):
        return {"all": [condition(part) for part in value]}
    if isinstance(value, AssetAny):
        return {"any": [condition(part) for part in value.objects]}
    if isinstance(value, AssetAll):
        return {"all": [condition(part) for part in value.objects]}
    return written(value)


def links(value):
    """What `inlets` and `outlets` hold; anything that is no asset is left out, as Airflow's lineage is not kept here."""
    if value is None:
        return []
    many = value if isinstance(value, (list, tuple, set)) else [value]
    return [written(one) for one in many if isinstance(one, (Asset, AssetAlias))]


# -- while a task runs

def from_link(link):
    """An asset of the first message, in the Rust side's form."""
    if "alias" in link:
        return AssetAlias(link["alias"])
    return from_stored(link["asset"])


def from_stored(asset):
    return Asset(asset["name"], asset["uri"], group=asset.get("group") or "asset", extra=asset.get("extra"))


class DagRunInfo:
    """As much of a producing run as its event tells."""

    def __init__(self, source):
        from . import dates

        interval = source.get("interval") or {}
        self.dag_id, self.run_id = source["dag"], source["run"]
        self.data_interval_start = dates.instant(interval.get("start"))
        self.data_interval_end = dates.instant(interval.get("end"))
        self.logical_date = self.execution_date = self.data_interval_start


class TaskInstanceInfo:
    def __init__(self, source):
        self.dag_id, self.run_id = source["dag"], source["run"]
        self.task_id, self.map_index = source["task"], source["map_index"]

    def xcom_pull(self, key="return_value", default=None, **kwargs):
        from .context import get_current_context

        ti = get_current_context()["ti"]
        return ti.xcom_pull(task_ids=self.task_id, dag_id=self.dag_id, run_id=self.run_id, key=key, default=default,
                            map_indexes=None if self.map_index < 0 else self.map_index)


class AssetEvent:
    """An asset was changed."""

    def __init__(self, event):
        from . import dates

        source = event["source"]
        self.id, self.uri = event["id"], event["uri"]
        self.asset = self.dataset = Asset(event["asset"], event["uri"])
        self.extra = event.get("extra") or {}
        self.timestamp = self.created_at = dates.instant(event["at"])
        self.source_dag_id, self.source_run_id = source["dag"], source["run"]
        self.source_task_id, self.source_map_index = source["task"], source["map_index"]
        self.source_dag_run, self.source_task_instance = DagRunInfo(source), TaskInstanceInfo(source)
        self.source_aliases = list(event.get("aliases") or [])

    def __repr__(self):
        return "<AssetEvent %s by %s.%s at %s>" % (self.uri, self.source_dag_id, self.source_task_id, self.timestamp)


class TriggeringEvents(dict):
    """Events by asset; an asset is also found by its URI and by its name."""

    def __init__(self, events):
        super().__init__()
        for event in map(AssetEvent, events):
            dict.setdefault(self, event.asset, []).append(event)
            for alias in event.source_aliases:
                dict.setdefault(self, AssetAlias(alias), []).append(event)

    def __missing__(self, key):
        name = getattr(key, "name", key)
        for asset, events in self.items():
            is_kind = isinstance(key, AssetAlias) == isinstance(asset, AssetAlias)
            if is_kind and name in (asset.name, getattr(asset, "uri", None)):
                return events
        raise KeyError(key)

    def get(self, key, default=None):
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key):
        return self.get(key) is not None


class ByUri(dict):
    """The same under Airflow 2's name, where the keys were URIs."""

    def __init__(self, events):
        super().__init__()
        for asset, of_asset in events.items():
            self[getattr(asset, "uri", asset.name)] = of_asset


class InletEvents:
    """All events of an inlet so far: `inlet_events[asset][-1].extra`. Asked for when they are looked at."""

    def __init__(self, inlets, channel):
        self._inlets, self._channel, self._known = inlets, channel, {}

    def __getitem__(self, key):
        asset = self._inlets[key] if isinstance(key, int) else key
        if isinstance(asset, str):
            asset = Asset(uri=asset)
        if not isinstance(asset, Asset):
            raise KeyError(key)
        if asset not in self._known:
            question = {"type": "get_asset_events", "name": asset.name, "uri": asset.uri}
            self._known[asset] = [AssetEvent(e) for e in self._channel.ask(question) or []]
        return self._known[asset]

    def __iter__(self):
        return iter(self._inlets)

    def __len__(self):
        return len(self._inlets)


class OutletEvent:
    """What a task says of one outlet: `outlet_events[asset].extra = {...}`, `outlet_events[alias].add(asset)`."""

    def __init__(self, key):
        self.key, self.extra, self.added = key, {}, []

    def add(self, asset, extra=None):
        if isinstance(asset, str):
            asset = Asset(uri=asset)
        if not isinstance(self.key, AssetAlias):
            raise AirflowException("only an AssetAlias can be added to; %r is an asset itself" % (self.key,))
        if not isinstance(asset, Asset):
            raise TypeError("expected an Asset to add to %r, got: %r" % (self.key, asset))
        self.added.append((asset, dict(extra or {})))


class OutletEvents:
    def __init__(self, outlets):
        self._outlets, self._said = outlets, {}

    def __getitem__(self, key):
        outlet = self._outlets[key] if isinstance(key, int) else key
        if isinstance(outlet, str):
            named = [o for o in self._outlets if outlet in (o.name, getattr(o, "uri", None))]
            outlet = named[0] if named else Asset(uri=outlet)
        if not isinstance(outlet, (Asset, AssetAlias)):
            raise KeyError(key)
        return self._said.setdefault(outlet, OutletEvent(outlet))

    def __iter__(self):
        return iter(self._outlets)

    def __len__(self):
        return len(self._outlets)

    def take(self, metadata):
        """What a task yielded."""
        if metadata.alias is None:
            self[metadata.asset].extra.update(metadata.extra)
        else:
            alias = AssetAlias(metadata.alias) if isinstance(metadata.alias, str) else metadata.alias
            self[alias].add(metadata.asset, metadata.extra)

    def report(self):
        """As the last word of the task carries it; what is not JSON fails the task."""
        report = []
        for outlet, said in self._said.items():
            if isinstance(outlet, Asset) and said.extra:
                report.append({"asset": written(outlet), "extra": checked(said.extra, outlet)})
            for asset, extra in said.added:
                report.append({"asset": written(asset), "alias": outlet.name, "extra": checked(extra, asset)})
        return report


def checked(extra, asset):
    from ..run import check_json

    if not isinstance(extra, dict):
        raise AirflowException("expected the extra of %r to be a dict, got: %r" % (asset, extra))
    check_json(extra, "the extra of %r" % (asset,))
    return json.loads(json.dumps(extra))


# -- @asset

def asset(function=None, **arguments):
    """`@asset(schedule="@daily")`: a DAG of one task, both named after the function, that makes an asset of that name.

    A parameter called `self` is the asset itself, `context` the context; any other one is an asset of its name,
    which the task reads.
    """
    own = {k: arguments.pop(k) for k in ("name", "uri", "group", "extra") if k in arguments}

    def decorate(function):
        from .asset_task import make

        name = own.get("name") or function.__name__
        made = Asset(name, own.get("uri"), group=own.get("group") or "asset", extra=own.get("extra"))
        made.function = function
        make(made, [made], name, function, dict(arguments))
        return made

    return decorate if function is None else decorate(function)
