"""Keeping a DAG file imported: the tasks of the file are forked from a process that has done it once.

A task must not be able to tell. So a file is kept only when importing it once
more would do the same: it starts no thread or process, opens nothing that stays
open, writes nothing, asks neither the network nor Updraft's store, and neither
the clock nor chance. Whatever it read, itself and the modules beside it first of
all, is looked at before each fork. Where any of that does not hold, each task
imports the file itself, as it would without us.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback

from . import fork

# An import that takes longer is left to the tasks, where the log shows what it does.
PATIENCE = 60

# What a file says while it is imported is said again in each task's log, up to this much.
MAX_SAID = 64 << 10

# More than this is not read before each fork: date and size have to do.
MAX_READ = 1 << 20

MAX_WATCHED = 400

# Folders of what is installed. It is told by them: an installation changes them.
INSTALLED = ("site-packages", "dist-packages", "lib-dynload")

# In nanoseconds: a source that changed so shortly before may have been compiled as it was.
SETTLED = 2_000_000_000


class NotKept(BaseException):
    """Not an Exception: a file that catches everything must not catch this."""


def state_of(path):
    """What can be seen to change when the thing at `path` changes; None where there is nothing."""
    try:
        found = os.stat(path)
        seen = [found.st_mtime_ns, found.st_ino]
        if os.path.isdir(path):
            return seen
        if found.st_size > MAX_READ:
            return seen + [found.st_size, found.st_ctime_ns]
        with open(path, "rb") as file:
            return file.read().hex() if found.st_size < 200 else digest(file.read())
    except OSError:
        return None


def digest(content):
    import hashlib

    return hashlib.sha256(content).hexdigest()


class Keeper:
    """The warm interpreter's hand on the process that keeps a file."""

    def __init__(self, path, first, pid, ours):
        self.path, self.first, self.pid, self.socket = path, first, pid, ours
        self.watched, self.refuses, self.is_gone, self.is_ready = None, None, False, False

    @classmethod
    def start(cls, path, folder, state):
        """The hand; True in the process of a task that was forked from the keeper; None when there can be no keeper."""
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
        except OSError:
            return None
        if pid:
            theirs.close()
            fork.sockets.add(ours)
            return cls(path, state, pid, ours)
        for other in [ours, *fork.sockets]:
            other.close()
        fork.sockets.clear()
        fork.sockets.add(theirs)
        try:
            is_task = keep(path, folder, theirs)
        except BaseException:  # noqa: B902  (a keeper that fails must not go on as its parent)
            os._exit(1)
        if is_task:
            return True
        os._exit(0)

    def hear(self):
        """What the keeper says when it has imported the file, or could not."""
        try:
            message = self.socket.recv(1 << 18)
        except OSError:
            message = b""
        if not message:
            self.is_gone = True
            self.refuses = self.refuses or (None if self.is_ready else "its import ended the interpreter")
            return
        said = json.loads(message)
        self.refuses, self.watched = said.get("refuses"), said.get("watched")
        self.is_ready = self.refuses is None

    def is_stale(self):
        return self.is_ready and any(state_of(path) != state for path, state in self.watched)

    def give(self, descriptors):
        """Hands a task's descriptors over; false when the keeper cannot take them."""
        try:
            socket.send_fds(self.socket, [b"fork"], descriptors, socket.MSG_DONTWAIT)
        except OSError:
            return False
        for fd in descriptors:
            os.close(fd)
        return True

    def close(self):
        """It leaves by itself when it has forked what it was asked for; but not out of an import."""
        fork.sockets.discard(self.socket)
        self.socket.close()
        if not self.is_ready:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except OSError:
                pass


def keep(path, folder, requests):
    """The keeper itself. True in the process of a task."""
    os.setpgid(0, 0)
    # The kernel ends an import that never comes back.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    watch = Watch(folder)
    try:
        said = watch.imports(path)
        watch.check()
        said.tell()
        fork.prepare()
        requests.send(fork.packet({"watched": sorted(watch.seen.items())}))
    except BaseException as error:  # noqa: B902
        why = str(error) if isinstance(error, NotKept) else "its import fails: " + "".join(
            traceback.format_exception_only(type(error), error)).strip().split("\n")[-1]
        try:
            requests.send(fork.packet({"refuses": (watch.why or why)[:1000]}))
        finally:
            os._exit(0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    watch.on = False
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 16, 3)
        if not message:
            return False
        if len(descriptors) < 2:
            for fd in descriptors:
                os.close(fd)
        elif fork.bear(descriptors):
            said.say_again()
            return True


class Said:
    """What the import wrote: it is caught, to be written again by each task."""

    def __init__(self):
        self.fd, self.text = os.memfd_create("said"), b""
        for number in (1, 2):
            os.dup2(self.fd, number)

    def tell(self):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        size = os.fstat(self.fd).st_size
        if size > MAX_SAID:
            raise NotKept("it writes much while it is imported")
        self.text = os.pread(self.fd, size, 0)
        null = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(null, number)
        os.close(null)
        os.close(self.fd)

    def say_again(self):
        rest = self.text
        while rest:
            rest = rest[os.write(1, rest):]


# What an import may not do, by the interpreter's own audit events: it would not be done again by the next task.
DEEDS = {
    "subprocess.Popen": "starts a program", "os.system": "starts a program", "os.posix_spawn": "starts a program",
    "os.exec": "starts a program", "os.fork": "forks", "os.forkpty": "forks",
    "socket.connect": "uses the network", "socket.bind": "uses the network", "socket.getaddrinfo": "uses the network",
    "socket.gethostbyname": "uses the network", "sqlite3.connect": "opens a database", "os.chdir": "changes the folder",
    "os.remove": "removes a file", "os.rename": "renames a file", "os.mkdir": "makes a folder",
    "os.rmdir": "removes a folder", "shutil.copyfile": "copies a file", "shutil.move": "moves a file",
    "signal.pthread_kill": "sends a signal", "os.kill": "sends a signal",
}

# Functions, by module and name, whose next answer is another.
CHANCE = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("time", "time"), ("time", "time_ns"), ("time", "localtime"), ("time", "gmtime"), ("time", "monotonic"),
    ("time", "strftime"), ("time", "ctime"), ("time", "perf_counter"),
    ("posix", "getpid"), ("posix", "getppid"), ("posix", "urandom"), ("posix", "times"),
    ("Random", "random"), ("Random", "getrandbits"), ("Random", "seed"),
}
CHANCE_NAMES = frozenset(name for _, name in CHANCE)
ENVIRONMENT = type(os.environ).__getitem__.__code__
LOGGING = os.sep + os.path.join("logging", "__init__.py")


class Watch:
    """Looks at what an import does."""

    def __init__(self, folder):
        self.folder = os.path.realpath(folder)
        self.why, self.on, self.seen = None, False, {}
        self.libraries = tuple(os.path.realpath(p) + os.sep for p in [os.path.dirname(os.__file__), *sys.path]
                               if p == os.path.dirname(os.__file__) or os.path.basename(p) in INSTALLED)

    def imports(self, path):
        """Imports the file as a task would, and gives what it wrote."""
        from . import finder, imports, task_log
        from .model import store_values

        said = Said()
        self.open_before = open_files()
        task_log.set_up()
        store_values.use_channel(NoChannel(self))
        finder.install()
        imports.use_folder(self.folder)
        begun = time.time_ns()
        self.look(path)
        for folder in sys.path:
            self.look(folder)
        self.on = True
        sys.addaudithook(self.audit)
        sys.setprofile(self.called)
        try:
            imports.keep(path)
        finally:
            sys.setprofile(None)
            self.on = False
            store_values.use_channel(None)
        self.look_at_modules(begun)
        return said

    def look_at_modules(self, begun):
        """Those of other folders: what was compiled before is loaded without a look into its source."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or self.is_library(file) or os.path.abspath(file) in self.seen:
                continue
            self.look(file)
            try:
                changed = os.stat(file).st_mtime_ns
            except OSError:
                continue
            if changed >= begun - SETTLED:
                raise NotKept("%s has just changed" % file)

    def audit(self, event, args):
        if not self.on:
            return
        if event in ("open", "os.rename", "os.mkdir", "os.remove") and "__pycache__" in str(args[0]):
            # The interpreter's own.
            return
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                if not self.is_library(path) and path != os.devnull:
                    self.refuse("writes a file")
            elif not self.is_library(path):
                self.look(path)
        elif event in ("os.listdir", "os.scandir"):
            self.look(args[0] or os.curdir)
        elif event in DEEDS:
            self.refuse(DEEDS[event])

    def called(self, frame, event, function):
        """Each call. The clock and chance count where it is the author's code that asks for them."""
        if event == "call" and frame.f_code is ENVIRONMENT:
            name = frame.f_locals.get("key")
            if isinstance(name, str) and name.startswith(("AIRFLOW_CTX_", "UPDRAFT_")) and self.is_authors(frame):
                self.refuse("asks for `%s`, which is another for each task," % name)
        if event != "c_call" or function.__name__ not in CHANCE_NAMES:
            return
        owner = getattr(function, "__self__", None)
        kind = owner.__name__ if isinstance(owner, (type, type(os))) else type(owner).__name__
        if (kind, function.__name__) in CHANCE and self.is_authors(frame):
            self.refuse("calls `%s`" % function.__name__)

    def is_authors(self, frame):
        while frame is not None:
            file = frame.f_code.co_filename
            # What a library does when it is loaded, or to write a line of a log, is its own affair.
            if file.startswith("<frozen importlib") or file.endswith(LOGGING):
                return False
            if not file.startswith("<") and not self.is_library(file):
                return True
            frame = frame.f_back
        return False

    def refuse(self, what):
        if self.why is None:
            self.why = "it %s while it is imported" % what
        self.on = False
        sys.setprofile(None)
        raise NotKept(self.why)

    def look(self, path):
        if not isinstance(path, (str, bytes)):
            return
        path = os.path.abspath(os.fsdecode(path))
        if path not in self.seen and not path.startswith(("/proc/", "/sys/", "/dev/")):
            if len(self.seen) >= MAX_WATCHED:
                self.refuse("reads many files")
            on, self.on = self.on, False
            # Before it is read: what changes meanwhile is seen later.
            self.seen[path] = state_of(path)
            self.on = on

    def is_library(self, path):
        if not isinstance(path, (str, bytes)):
            return True
        return os.path.realpath(os.fsdecode(path)).startswith((*self.libraries, HERE))

    def check(self):
        """What cannot be forked, or would be shared by the forks."""
        if self.why:
            raise NotKept(self.why)
        if threading.active_count() > 1:
            raise NotKept("it starts a thread while it is imported")
        left = open_files() - self.open_before
        if left:
            raise NotKept("it leaves %s open when it is imported" % min(where for _, where in left))
        if len(os.listdir("/proc/self/task")) > 1:
            # Libraries that are made for it end their threads before a fork, and begin them again when needed.
            pid = os.fork()
            if not pid:
                os._exit(0)
            os.waitpid(pid, 0)
            if len(os.listdir("/proc/self/task")) > 1:
                raise NotKept("it starts a thread while it is imported")


def open_files():
    """Each by its number and its name."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add((fd, os.readlink("/proc/self/fd/" + fd)))
        except OSError:
            # It was the folder's own.
            pass
    return found


class NoChannel:
    """Whoever asks Updraft while a file is imported asks for each task anew."""

    def __init__(self, watch):
        self.watch = watch

    def ask(self, body):
        self.watch.refuse("asks Updraft for a value while it is imported")

    send = receive = ask


HERE = os.path.realpath(os.path.dirname(os.path.abspath(__file__))) + os.sep
