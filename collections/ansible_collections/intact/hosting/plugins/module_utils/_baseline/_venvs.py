# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Python environments (venv) in trees that customers write to: found and read by descriptors, never run."""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline._descriptors import open_directory, open_file

TREES = ("/opt", "/srv", "/var/www", "/home", "/root", "/usr/local", "/var/lib")
DEPTH = 5
# Large, and no place for an environment.
CLOSED = {
    b"node_modules", b".git", b".svn", b"Maildir", b".maildir", b"Mail", b"cur", b"new", b"tmp", b"cache", b".cache", b"proc", b"sys",
    b"docker", b"containers", b"dpkg", b"apt", b"mysql", b"postgresql", b"lxcfs", b"intact", b"wp-content", b"vendor",
}  # fmt: skip
SEED = re.compile(rb"^(pip|setuptools|wheel|pkg_resources|distribute|_distutils_hack)\b")


def find(system, trees):
    """{path as bytes: {works: "yes" or a sentence, version, packages: number}} of all environments below trees."""
    out = {}
    for tree in trees:
        path = os.fsencode(tree)
        try:
            fd = open_directory(path)
        except OSError:
            continue  # not there, or a link: what it leads to is another tree
        _walk(system, fd, path, DEPTH, out)
    return out


def _walk(system, fd, path, depth, out):
    """Closes fd."""
    try:
        system.remaining()
        with os.scandir(fd) as listing:
            entries = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in listing]
        if (b"pyvenv.cfg", False) in entries:
            told = look(system, fd)
            if told:
                out[path] = told
            return
        for name, is_directory in sorted(entries):
            if depth and is_directory and name not in CLOSED:
                try:
                    deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                except OSError:
                    continue
                _walk(system, deeper, path.rstrip(b"/") + b"/" + name, depth - 1, out)
    except OSError:
        return  # a file system that is gone, or a tree in motion: sections mounts and files tell of these
    finally:
        os.close(fd)


def look(system, fd):
    """What the environment in an open directory is (see find), or None when it is none."""
    settings = _settings(fd)
    if "home" not in settings:
        return None
    held = _libraries(fd)
    told = {"version": ".".join(settings.get("version", settings.get("version_info", "")).split(".")[:2]), "packages": sum(held.values())}
    target, own = _interpreter(fd)
    if not target and not own:
        return dict(told, works="it has no interpreter")
    if own:
        home = settings["home"]
        there = system.exists(home)
        return dict(told, works="yes" if there else "its interpreter is a copy of one in %s, which is not there" % home)
    real = system.realpath(target)
    if not system.exists(real):
        return dict(told, works="its interpreter %s is not there" % target)
    runs = re.search(r"python(\d+\.\d+)$", real)
    if runs and held and runs.group(1) not in held:
        return dict(told, works="its interpreter is Python %s by now, and its packages are for %s" % (runs.group(1), ", ".join(sorted(held))))
    return dict(told, works="yes")


def _settings(fd):
    try:
        file = open_file(b"pyvenv.cfg", fd)
    except OSError:
        return {}
    with os.fdopen(file, "rb") as handle:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return {}
        text = handle.read(16384).decode("utf-8", "surrogateescape")
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _interpreter(fd):
    """(absolute path that bin/python3 leads to, whether it is a program of its own) or ("", False)."""
    try:
        programs = os.open(b"bin", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    except OSError:
        return "", False
    try:
        for name in (b"python3", b"python"):
            for _hop in range(8):
                try:
                    st = os.stat(name, dir_fd=programs, follow_symlinks=False)
                except OSError:
                    break
                if not stat.S_ISLNK(st.st_mode):
                    return "", stat.S_ISREG(st.st_mode)
                name = os.readlink(name, dir_fd=programs)
                if name.startswith(b"/"):
                    return os.fsdecode(name), False
                if b"/" in name:
                    break
        return "", False
    finally:
        os.close(programs)


def _libraries(fd):
    """{version: number of packages besides pip's own} of lib/pythonX.Y."""
    out = {}
    try:
        lib = os.open(b"lib", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    except OSError:
        return out
    try:
        for name in os.listdir(lib):
            found = re.match(r"^python(\d+\.\d+)$", name)
            if not found:
                continue
            inner, opened = lib, []
            try:
                for part in (name, "site-packages"):
                    inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inner)
                    opened.append(inner)
                names = [os.fsencode(entry) for entry in os.listdir(inner)]
                out[found.group(1)] = sum(1 for entry in names if entry.endswith((b".dist-info", b".egg-info", b".egg-link")) and not SEED.match(entry))
            except OSError:
                continue
            finally:
                for descriptor in opened:
                    os.close(descriptor)
    finally:
        os.close(lib)
    return out
