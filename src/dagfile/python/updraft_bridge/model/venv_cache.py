"""Virtual environments, each made once: they stand in a cache folder under a hash of what they are made from."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys

from .exceptions import AirflowException

# Written last: without it, somebody was interrupted.
MARK = ".updraft-complete"


class VirtualEnvironment:
    def __init__(self, requirements, python_version, system_site_packages, pip_install_options, index_urls, serializer):
        self.requirements = list(requirements)
        if serializer in ("dill", "cloudpickle") and not any(r.startswith(serializer) for r in self.requirements):
            self.requirements.append(serializer)
        self.python_version, self.system_site_packages = python_version, system_site_packages
        self.pip_install_options, self.index_urls = pip_install_options, index_urls

    def interpreter(self, cache, log):
        """The path of its Python; makes the environment where there is none."""
        python, version = find_python(self.python_version)
        made_from = [os.path.realpath(python), version, sorted(self.requirements), bool(self.system_site_packages),
                     self.pip_install_options, self.index_urls]
        name = "venv-" + hashlib.sha256(json.dumps(made_from).encode("utf-8")).hexdigest()[:16]
        folder = os.path.join(cache or default_cache(), name)
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        with open(folder + ".lock", "w") as lock:
            # Of two tasks at once, one makes it and the other one waits.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(os.path.join(folder, MARK)):
                log.info("Making a virtual environment of Python %s in %s", version, folder)
                shutil.rmtree(folder, ignore_errors=True)
                self.make(python, folder, log)
                with open(os.path.join(folder, MARK), "w"):
                    pass
        return os.path.join(folder, "bin", "python")

    def make(self, python, folder, log):
        command = [python, "-m", "venv"]
        if self.system_site_packages:
            command.append("--system-site-packages")
        if not self.requirements:
            command.append("--without-pip")
        code, said = run([*command, folder])
        if code != 0:
            raise AirflowException("cannot make a virtual environment with %s: %s" % (python, said or "exit code %d" % code))
        if not self.requirements:
            return
        log.info("Installing %s", ", ".join(self.requirements))
        install = [os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check",
                   "--no-input", "--quiet"]
        for place, url in enumerate(self.index_urls):
            install += ["--index-url" if place == 0 else "--extra-index-url", url]
        code, said = run([*install, *self.pip_install_options, *self.requirements])
        if code != 0:
            raise AirflowException(
                "cannot install the requirement%s %s into a virtual environment: %s; look whether the names and "
                "versions exist and whether this machine can reach the package index"
                % ("s" if len(self.requirements) > 1 else "", ", ".join("`%s`" % r for r in self.requirements), said)
            )


def default_cache():
    """Beside the folder that holds this package."""
    from .. import notes

    return os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(notes.HERE))), "venvs")


def run(command):
    """The exit code, and the last of what went wrong."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = [line.strip() for line in done.stdout.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return done.returncode, " ".join(errors[-3:])


def find_python(version):
    """A Python of this version, as `3.11`, and which it is exactly. Without one: that which runs the tasks."""
    own = ".".join(map(str, sys.version_info[:3]))
    base = getattr(sys, "_base_executable", None) or sys.executable
    if version is None or (own + ".").startswith(version.rstrip(".") + "."):
        return base, own
    for candidate in candidates(version):
        found = exact_version(candidate)
        if found and (found + ".").startswith(version.rstrip(".") + "."):
            return candidate, found
    raise AirflowException("there is no Python %s on this machine: looked for `python%s` in PATH and among those of pyenv"
                           % (version, version))


def candidates(version):
    short = ".".join(version.split(".")[:2])
    for name in ("python" + version, "python" + short):
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            path = os.path.join(folder, name)
            if folder and os.access(path, os.X_OK) and not os.path.isdir(path):
                yield path
    versions = os.path.join(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"), "versions")
    if os.path.isdir(versions):
        for name in sorted(os.listdir(versions), reverse=True):
            path = os.path.join(versions, name, "bin", "python" + short.split(".")[0])
            if (name + ".").startswith(version + ".") and os.access(path, os.X_OK):
                yield path


def exact_version(python):
    """None of what only looks like a Python, as the shim of a version that is not chosen."""
    ask = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        done = subprocess.run([python, "-c", ask], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode().strip() if done.returncode == 0 else None
