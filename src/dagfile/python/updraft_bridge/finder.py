"""The import hook that makes the modules of `surface` importable.

It goes before every other finder, so an installed Airflow is not touched.
A module's names are made when they are first asked for: a file that needs
`BashOperator` loads nothing of `PythonOperator`.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types

from . import notes, providers, surface


class Finder:
    """Answers for `airflow` and everything under it, and for `pendulum` where it is not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "airflow" or name.startswith("airflow."):
            return airflow_spec(name)
        return None

    @staticmethod
    def invalidate_caches():
        pass


class LastFinder:
    """Comes after every other finder: stands in for what is not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "pendulum" or name in ("pendulum.tz", "pendulum.datetime", "pendulum.tz.timezone"):
            return importlib.machinery.ModuleSpec(name, StandInLoader, is_package=name in ("pendulum", "pendulum.tz"))
        return None

    @staticmethod
    def invalidate_caches():
        pass


class StandInLoader:
    @staticmethod
    def create_module(spec):
        return types.ModuleType(spec.name)

    @staticmethod
    def exec_module(module):
        from . import pendulum_stand_in

        for name, value in vars(pendulum_stand_in).items():
            if not name.startswith("__"):
                setattr(module, name, value)


def airflow_spec(name):
    known = surface.names_of(name)
    if known is not None or surface.is_package(name):
        return importlib.machinery.ModuleSpec(name, TableLoader(known or []), is_package=True)
    if providers.is_foreign(name) or name == "airflow.providers":
        return importlib.machinery.ModuleSpec(name, ForeignLoader(), is_package=True)
    if name.startswith("airflow."):
        meant = notes.nearest(name, [*surface.MODULES, *surface.ALIASES], cutoff=0.8)
        error = ModuleNotFoundError("No module named %r" % name, name=name)
        error.updraft_hint = "did you mean `%s`?" % meant if meant else (
            "this module of Airflow's is not known to Updraft yet"
        )
        raise error
    return None


class Module(types.ModuleType):
    """A module whose names are made on demand."""

    def __getattr__(self, name):
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        value = self._updraft_make(name)
        setattr(self, name, value)
        return value

    def __dir__(self):
        return sorted(set(super().__dir__()) | set(self._updraft_names))


class TableLoader:
    def __init__(self, names):
        self.names = []
        for name in names:
            if name.startswith("*"):
                self.names.extend(public_names(name[1:]))
            else:
                self.names.append(name)
        self.whole = [n[1:] for n in names if n.startswith("*")]

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        module._updraft_names = self.names
        module._updraft_make = lambda name: self.make(module.__name__, name)
        module.__all__ = [n for n in self.names if not surface.NAMES.get(n, "").endswith(":")]

    def make(self, module, name):
        if name == "__version__":
            return made("version")
        for whole in self.whole:
            ours = importlib.import_module("updraft_bridge.model." + whole)
            if hasattr(ours, name):
                return getattr(ours, name)
        if name in self.names:
            if name in surface.NAMES:
                return made(name)
        # `from airflow.operators import bash`, `airflow.utils.dates.days_ago` after `import airflow`.
        path = "%s.%s" % (module, name)
        if surface.names_of(path) is not None or surface.is_package(path) or providers.is_foreign(path):
            return importlib.import_module(path)
        # Airflow 1.10: `from airflow.operators import BashOperator`.
        if module in ("airflow.operators", "airflow.sensors", "airflow.hooks"):
            if name in surface.NAMES:
                return made(name)
        error = AttributeError("module %r has no attribute %r" % (module, name))
        error.updraft_hint = notes.did_you_mean(name, self.names)
        raise error


class ForeignLoader:
    """A module of a provider: every name in it loads; none of them runs."""

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        why = providers.why(providers.provider_of(module.__name__), module.__name__)
        cache = {}

        def make(name):
            if name not in cache:
                from .model import later

                cache[name] = later.make(name, module.__name__, why)
            return cache[name]

        module._updraft_names = []
        module._updraft_make = make


def made(name):
    module, attribute = surface.target(name)
    ours = importlib.import_module(module)
    return ours if attribute is None else getattr(ours, attribute)


def public_names(module):
    ours = importlib.import_module("updraft_bridge.model." + module)
    return [n for n in vars(ours) if not n.startswith("_")]


def install():
    if Finder in sys.meta_path:
        return
    sys.meta_path.insert(0, Finder)
    sys.meta_path.append(LastFinder)
