"""`ObjectStoragePath`: a path of this machine as it is, any other kind by the package `fsspec`."""

import pathlib
import sys

from .exceptions import AirflowFailException


class ObjectStoragePath:
    """`ObjectStoragePath("file:///tmp/x")`, `ObjectStoragePath("s3://bucket/key", conn_id="aws_default")`."""

    def __init__(self, path, *parts, conn_id=None, **options):
        text = str(path)
        self.protocol, _, rest = text.partition("://") if "://" in text else ("file", "", text)
        if "@" in rest.split("/", 1)[0] and self.protocol != "file":
            conn_id, _, rest = rest.partition("@")
        self.conn_id, self.storage_options = conn_id, options
        self._path = pathlib.PurePosixPath(rest, *map(str, parts))

    def _again(self, path):
        other = type(self).__new__(type(self))
        other.protocol, other.conn_id, other.storage_options = self.protocol, self.conn_id, self.storage_options
        other._path = path
        return other

    def _local(self):
        return pathlib.Path(self._path) if self.protocol == "file" else None

    @property
    def fs(self):
        try:
            import fsspec
        except ImportError:
            raise AirflowFailException("a path of `%s://` needs the package fsspec: `%s -m pip install 'fsspec[%s]'`"
                                       % (self.protocol, sys.executable, self.protocol)) from None
        return fsspec.filesystem(self.protocol, **self.storage_options)

    # -- names

    name = property(lambda self: self._path.name)
    stem = property(lambda self: self._path.stem)
    suffix = property(lambda self: self._path.suffix)
    parts = property(lambda self: self._path.parts)
    key = property(lambda self: "/".join(self._path.parts[1:]))
    bucket = property(lambda self: self._path.parts[0] if self._path.parts else "")
    container = bucket
    path = property(lambda self: str(self._path))

    @property
    def parent(self):
        return self._again(self._path.parent)

    def __truediv__(self, other):
        return self._again(self._path / str(other))

    def joinpath(self, *parts):
        return self._again(self._path.joinpath(*map(str, parts)))

    def with_name(self, name):
        return self._again(self._path.with_name(name))

    def with_suffix(self, suffix):
        return self._again(self._path.with_suffix(suffix))

    # -- work

    def open(self, mode="r", **options):
        local = self._local()
        return local.open(mode, **options) if local is not None else self.fs.open(str(self._path), mode, **options)

    def read_text(self, encoding="utf-8"):
        with self.open("r", encoding=encoding) as file:
            return file.read()

    def read_bytes(self):
        with self.open("rb") as file:
            return file.read()

    def write_text(self, text, encoding="utf-8"):
        with self.open("w", encoding=encoding) as file:
            return file.write(text)

    def write_bytes(self, data):
        with self.open("wb") as file:
            return file.write(data)

    def exists(self):
        local = self._local()
        return local.exists() if local is not None else self.fs.exists(str(self._path))

    def is_file(self):
        local = self._local()
        return local.is_file() if local is not None else self.fs.isfile(str(self._path))

    def is_dir(self):
        local = self._local()
        return local.is_dir() if local is not None else self.fs.isdir(str(self._path))

    def mkdir(self, mode=0o777, parents=False, exist_ok=False, **options):
        local = self._local()
        if local is not None:
            local.mkdir(mode=mode, parents=parents, exist_ok=exist_ok)
        else:
            self.fs.makedirs(str(self._path), exist_ok=exist_ok)

    def unlink(self, missing_ok=False):
        local = self._local()
        if local is not None:
            local.unlink(missing_ok=missing_ok)
        elif not missing_ok or self.exists():
            self.fs.rm_file(str(self._path))

    def iterdir(self):
        local = self._local()
        found = [p.name for p in local.iterdir()] if local is not None else [
            pathlib.PurePosixPath(p).name for p in self.fs.ls(str(self._path), detail=False)]
        return (self / name for name in found)

    def glob(self, pattern):
        local = self._local()
        found = local.glob(pattern) if local is not None else self.fs.glob(str(self._path / pattern))
        return (self._again(pathlib.PurePosixPath(p)) for p in found)

    def stat(self):
        local = self._local()
        return local.stat() if local is not None else self.fs.stat(str(self._path))

    def copy(self, target, **options):
        target = target if isinstance(target, ObjectStoragePath) else ObjectStoragePath(target)
        target.write_bytes(self.read_bytes())

    def __fspath__(self):
        if self.protocol != "file":
            raise TypeError("a path of `%s://` is no path of this machine" % self.protocol)
        return str(self._path)

    def __str__(self):
        return "%s://%s" % (self.protocol, self._path)

    def __repr__(self):
        return "ObjectStoragePath(%r)" % str(self)

    def __eq__(self, other):
        return isinstance(other, ObjectStoragePath) and str(self) == str(other)

    def __hash__(self):
        return hash(str(self))
