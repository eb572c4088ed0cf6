"""Importing an author's file, and the modules beside it.

The DAGs folder joins the end of the import path, as in Airflow. Its modules
are always compiled afresh: Python's cache trusts the file's second and size,
so of two quick edits it could serve the older, and it would litter the folder
that we watch.
"""

import importlib.machinery
import importlib.util
import os
import sys
import zlib

from . import notes


# Modules of DAG files that were imported before this process was forked, by their paths.
_kept = {}
_folders = set()


class Uncached(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def use_folder(folder):
    """Makes the modules of the DAGs folder importable."""
    folder = os.path.abspath(folder)
    if folder in _folders:
        return
    _folders.add(folder)
    loaders = (
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (Uncached, importlib.machinery.SOURCE_SUFFIXES),
    )

    def hook(path):
        if os.path.isdir(path) and inside(path, folder):
            return importlib.machinery.FileFinder(path, *loaders)
        raise ImportError

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.pop(folder, None)
    if folder not in sys.path:
        sys.path.append(folder)


def is_authors(module):
    """Whether a module stands in the DAGs folder."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.startswith(tuple(folder.rstrip(os.sep) + os.sep for folder in _folders))


def inside(path, folder):
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def relative(path, folder):
    path = os.path.abspath(path)
    if inside(path, folder):
        return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
    return path


def name_of(path):
    stem = os.path.splitext(os.path.basename(path))[0]
    return "updraft_dag_%08x_%s" % (zlib.crc32(path.encode("utf-8", "surrogateescape")), stem)


def load(path):
    """Runs a DAG file as a module under a name that no other module can have."""
    if path in _kept:
        return _kept[path]
    name = name_of(path)
    loader = Uncached(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    notes.dag_file = path
    loader.exec_module(module)
    return module


def keep(path):
    """Loads a DAG file for every process that is forked from this one."""
    _kept[path] = load(path)


def local_modules(folder, besides):
    """The files under the folder that were imported, other than the DAG file itself."""
    found = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and inside(file, folder):
            if os.path.realpath(file) != os.path.realpath(besides):
                found.add(os.path.abspath(file))
    return sorted(found)
