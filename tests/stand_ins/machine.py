# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine below a root directory, on which stand-ins of panels live: their files, programs that are really run, and one switch per failure.

No real panel is here. A stand-in's programs are small scripts at the real paths below the root; they write down with which arguments they were started, as `ps`
would have shown them. Nothing outside the root is written, except into directories that a program is given as an argument.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIM = """#!{python} -BS
# A stand-in's program: {module}.{function}, see tests/stand_ins.
import sys
sys.path[:0] = {path!r}
from stand_ins.{module} import {function}
sys.exit({function}({root!r}, sys.argv[1:]))
"""


class Machine:
    """The files, programs and switches below one root."""

    def __init__(self, root):
        self.root = Path(root)

    def at(self, path):
        """Where a path of the machine lies really."""
        return self.root / str(path).lstrip("/")

    def write(self, path, content="", mode=0o644):
        """A file with its directories."""
        real = self.at(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        real.chmod(mode)
        return real

    def read(self, path):
        """The text of a file, "" when there is none."""
        real = self.at(path)
        return real.read_text(encoding="utf-8") if real.is_file() else ""

    def program(self, path, module, function):
        """A program at `path` that runs stand_ins.<module>.<function>(root, arguments)."""
        text = SHIM.format(python=sys.executable, module=module, function=function, path=[str(HERE.parent)], root=str(self.root))
        self.write(path, text, 0o755)

    def document(self, name, default=None):
        """A JSON document of the stand-in's own store."""
        text = self.read("/var/lib/stand-in/%s.json" % name)
        return json.loads(text) if text else ({} if default is None else default)

    def keep(self, name, value):
        """Store it."""
        self.write("/var/lib/stand-in/%s.json" % name, json.dumps(value), 0o600)

    def switch(self, name, value=True):
        """Turn one failure on. value: what it hits, where it hits one thing (an account, a database)."""
        self.keep("switches", dict(self.document("switches"), **{name: value}))

    def hit(self, name, what):
        """Whether a failure hits this thing: it is switched on for it, or for all."""
        value = self.document("switches").get(name)
        return value is True or value == what or (isinstance(value, list) and what in value)

    def note(self, program, arguments):
        """Write down how a program was started."""
        path = self.at("/var/log/stand-in.started")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps([program, *arguments]) + "\n")

    def started(self, program=None):
        """How programs were started, oldest first: lists of arguments."""
        lines = [json.loads(line) for line in self.read("/var/log/stand-in.started").splitlines()]
        return [line for line in lines if program is None or line[0] == program]

    def view(self, **options):
        """The System that drivers see."""
        from stand_ins.view import View

        return View(self.root, options)
