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

# The DAGs folder, once it is known; and whether an author's file is being loaded at this moment.
dags_folder = None
loading = False
# Whether this process describes a file, and runs none of its tasks.
describing = False
# The channel that answers for variables and connections while a file is described, where somebody does.
asking = None
# The folders beside it whose modules DAG files share.
shared = []
# Files of the folder that the author's code opened while it was loaded, other than modules.
_read = set()


# Modules of DAG files that were imported before this process was forked, by their paths.
_kept = {}
_folders = set()


class Uncached(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def use_folder(folder):
    """Makes the modules of the DAGs folder importable."""
    global dags_folder
    folder = dags_folder = os.path.abspath(folder)
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
    # Beside the DAGs folder Airflow has two more, for code that DAG files share.
    shared[:] = filter(os.path.isdir, [os.path.join(os.path.dirname(folder), name) for name in ("plugins", "config")])
    for place in [folder, *shared]:
        if place not in sys.path:
            sys.path.append(place)


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
    global loading
    loading = True
    try:
        loader.exec_module(module)
    finally:
        loading = False
    return module


def keep(path):
    """Loads a DAG file for every process that is forked from this one."""
    _kept[path] = load(path)


def note_reads(folder):
    """Keeps in mind which files of the folder are opened while a file loads: a configuration is a part of its DAGs."""
    prefix = os.path.realpath(folder).rstrip(os.sep) + os.sep

    def hook(event, args):
        if event == "open" and loading and isinstance(args[0], str) and not args[0].endswith((".pyc", ".so")):
            mode = args[1]
            if mode is None or not any(letter in mode for letter in "wax+"):
                path = os.path.realpath(args[0])
                if path.startswith(prefix):
                    _read.add(path)

    sys.addaudithook(hook)


def wanted_modules(folder, error):
    """Where a module that could not be found would lie in the folder: when it comes, the file is read again."""
    name = getattr(error, "name", None)
    if not isinstance(error, ModuleNotFoundError) or not name or name.split(".")[0] in ("airflow", "pendulum"):
        return []
    roots = {os.path.realpath(place) for place in (folder, *sys.path) if inside(place, folder)}
    places = [os.path.join(root, *name.split(".")) for root in sorted(roots)]
    return [file for place in places for file in (place + ".py", os.path.join(place, "__init__.py"))]


def local_modules(folder, besides):
    """The files under the folder that were imported or read, other than the DAG file itself."""
    found = {path for path in _read if path != os.path.realpath(besides) and os.path.isfile(path)}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and any(inside(file, place) for place in (folder, *shared)):
            if os.path.realpath(file) != os.path.realpath(besides):
                found.add(os.path.abspath(file))
    return sorted(found)
