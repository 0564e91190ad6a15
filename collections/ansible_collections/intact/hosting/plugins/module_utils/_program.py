# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A program of ours on a host, started by systemd: its own sources, its job, its units and timers. Tells what it would change, and changes only that."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sys

from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

PACKAGE = "ansible_collections.intact.hosting.plugins.module_utils"
UNITS = "/etc/systemd/system"
MAIN = """import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from %s.%s import %s
sys.exit(%s.main(sys.argv[1:]))
"""


def source(name):
    """Source text of one of our modules, from wherever it was imported (a directory, or Ansible's zip)."""
    full = PACKAGE + "." + name
    __import__(full)
    text = sys.modules[full].__loader__.get_source(full)
    if text is None:
        raise IntactError("the source of %s cannot be read: the program cannot be installed" % full)
    return text


def imported(text):
    """Names below our package that a source imports, at its top or inside of functions."""
    out = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and (node.module + ".").startswith(PACKAGE + "."):
            inside = node.module[len(PACKAGE) + 1 :]
            # `from package import module` and `from package.module import thing` look alike
            out |= {"%s.%s" % (inside, alias.name) if inside else alias.name for alias in node.names} | ({inside} if inside else set())
    return out


def parts(entry):
    """{name of a module: its source} of all that the program imports. entry: the module with its main(), below our package."""
    out, waiting = {}, {entry}
    while waiting:
        name = waiting.pop()
        if name in out:
            continue
        try:
            out[name] = source(name)
        except ImportError:
            continue  # a thing in a module, not a module
        waiting |= imported(out[name])
    return out


def files(entry):
    """{relative path: text} of the program."""
    above, _dot, last = entry.rpartition(".")
    out, folders = {"__main__.py": MAIN % (PACKAGE, above, last, last)}, PACKAGE.split(".")
    for depth in range(1, len(folders) + 1):
        out["/".join(folders[:depth]) + "/__init__.py"] = ""
    for name, text in parts(entry).items():
        path = "/".join(folders + name.split("."))
        package = hasattr(sys.modules[PACKAGE + "." + name], "__path__")
        out[path + ("/__init__.py" if package else ".py")] = text
    return out


class Place:
    """Where a program is on a host. program: its directory. job: its job. ours: matches the names of its units. folders: {more directories: mode}."""

    def __init__(self, program, job, ours, folders=None):
        self.program, self.job, self.ours = program, job, re.compile(ours)
        self.folders = dict({program: 0o755, os.path.dirname(job): 0o700}, **(folders or {}))

    def installed(self, root=""):
        """What of it is on the host: units, program, job."""
        paths = [os.path.join(UNITS, name) for name in self._units(root)] + [self.program, self.job]
        return [path for path in paths if os.path.lexists(root + path)]

    def _units(self, root):
        folder = root + UNITS
        return [name for name in (sorted(os.listdir(folder)) if os.path.isdir(folder) else []) if self.ours.match(name)]

    def remove(self, root=""):
        """Take it away; what it made, and secrets, stay."""
        paths = self.installed(root)
        timers = [os.path.basename(path) for path in paths if path.endswith(".timer")]
        if timers and not root:
            run(["systemctl", "disable", "--now"] + timers, check=False)
        for path in paths:
            shutil.rmtree(root + path) if os.path.isdir(root + path) else os.unlink(root + path)
        if not root:
            run(["systemctl", "daemon-reload"], check=False)


class Installer:
    """Compares what is on the host with what has to be there. changes: [(path, before, after)], in the order in which they are made; None: not there.

    place: a Place. entry: see parts(). units: {name: text}, timers among them are enabled and started.
    """

    def __init__(self, place, entry, units, job, root=""):
        self.place, self.root, self.changes = place, root, []
        self.timers = sorted(name for name in units if name.endswith(".timer"))
        program = files(entry)
        for relative, text in sorted(program.items()):
            self._want(os.path.join(place.program, relative), text.encode())
        self._stale_program(program)
        for name, text in units.items():
            self._want(os.path.join(UNITS, name), text.encode())
        for name in place._units(root):
            if name not in units:
                self.changes.append((os.path.join(UNITS, name), read_if_exists(os.path.join(root + UNITS, name)), None))
        self._want(place.job, (json.dumps(job, indent=1, sort_keys=True) + "\n").encode())

    def _want(self, path, data):
        before = read_if_exists(self.root + path)
        if before != data:
            self.changes.append((path, before, data))

    def _stale_program(self, program):
        known = {os.path.join(self.root + self.place.program, relative) for relative in program}
        for folder, _folders, names in os.walk(self.root + self.place.program):
            for name in names:
                path = os.path.join(folder, name)
                if path not in known:
                    self.changes.append((path[len(self.root) :], read_if_exists(path), None))

    def diff(self):
        """What would change in job and units, for the operator; the program as one line."""
        told = [change for change in self.changes if not change[0].startswith(self.place.program)]
        out = [
            {
                "before_header": path,
                "after_header": path,
                "before": (before or b"").decode("utf-8", "replace"),
                "after": (after or b"").decode("utf-8", "replace"),
            }
            for path, before, after in told
        ]
        if len(told) < len(self.changes):
            program = self.place.program
            out.append({"before_header": program, "after_header": program, "before": "", "after": "%d files\n" % (len(self.changes) - len(told))})
        return out

    def apply(self):
        """Make the changes."""
        for folder, mode in self.place.folders.items():
            os.makedirs(self.root + folder, mode=mode, exist_ok=True)
            os.chmod(self.root + folder, mode)
        gone = [os.path.basename(path) for path, _before, after in self.changes if after is None and path.startswith(UNITS)]
        if gone and not self.root:
            run(["systemctl", "disable", "--now"] + gone, check=False)
        for path, _before, after in self.changes:
            if after is None:
                os.unlink(self.root + path)
                continue
            os.makedirs(os.path.dirname(self.root + path), mode=0o755, exist_ok=True)
            write_atomic(self.root + path, after, 0o600 if path == self.place.job else 0o644)
        if not self.root and any(path.startswith(UNITS) for path, _before, _after in self.changes):
            run(["systemctl", "daemon-reload"])

    def idle_timers(self):
        """Timers that have to be enabled and started."""
        return [name for name in self.timers if not self.root and not _on(name)]

    def start_timers(self, names):
        """Enable and start them."""
        if names:
            run(["systemctl", "enable", "--now"] + names)


def _on(name):
    said = run(["systemctl", "is-enabled", name], check=False).text.strip(), run(["systemctl", "is-active", name], check=False).text.strip()
    return said == ("enabled", "active")
