# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of the Plesk stand-ins for many exports: installed and looked at once for each seed and version, then one export for each failure."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
from pathlib import Path

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _verify, plesk, plesk_old
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Run, Stage, kit

from stand_ins import plesk as new  # isort: skip (found by stand_in_fixture)
from stand_ins import plesk_old as old  # isort: skip

FACTS = {"met": "stand-in", "host": "panel.example.com", "host_id": "aa", "seconds": 1}


class Host:
    """root, stage, world; driver and what it found. export(mode, **switches) -> Run."""

    def __init__(self, root, seed, version, **more):
        self.root = str(root)
        self.driver = plesk if int(version.split(".")[0]) >= 10 else plesk_old
        self.world = (new if self.driver is plesk else old).install(self.root, seed, version, **more)
        self.stage = Stage(self.root)
        self.found = self.driver.detect(self.stage)
        self._inventory = None

    @property
    def inventory(self):
        """The inventory, taken once."""
        if self._inventory is None:
            self._inventory = self.driver.inventory(self.stage, self.found)
        return self._inventory

    @contextlib.contextmanager
    def switched(self, **switches):
        """Within it these failures happen; an underscore in a name is a hyphen."""
        names = {name.replace("_", "-"): value for name, value in switches.items()}
        for name, value in names.items():
            kit.switch(self.root, name, value)
        try:
            yield
        finally:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    Path(kit.real(self.root, "/stand-in/" + name)).unlink()

    def export(self, mode="full", native=False, damage=None, options=None, **switches):
        """Run of one export with these failures. damage(target): what happens to the driver's files."""
        told, directory = [], tempfile.mkdtemp(dir=self.root, prefix="panel-")
        self.stage.options = dict(options or {}, directory=directory)
        start = len(self.stage.started)
        with self.switched(**switches), _export.begin(self.driver.NAME, mode, directory) as work:
            made = self.driver.export(self.stage, self.found, mode, work.target, told.append)
            if damage:
                damage(Path(work.target))
            document = _export.store(work, made, self.inventory, dict(FACTS, version=self.found["version"]))
            with _verify.Opened(work.path) as opened:
                findings, verdict = _verify.judge(self.driver, opened)
                findings += self.driver.native(self.stage, self.found, opened) if native else []
            path = _export.seal(work, dict(document, verdict=verdict))
        text = json.dumps([[f.as_dict() for f in findings], self.inventory, document, told, made, self.stage.started[start:]], default=str)
        return Run(findings, verdict, self.inventory, made, path, text)

    def opened(self, path):
        """An export of this host."""
        return _verify.Opened(path)

    def first(self, kind, wanted=lambda name, entry: True):
        """The first name of a kind in the inventory."""
        return next(name for name, entry in sorted(self.inventory["objects"][kind].items()) if wanted(name, entry))

    @functools.cached_property
    def names(self):
        """One object of each kind, which a failure is about."""
        objects = self.inventory["objects"]
        boxes = [name for name in sorted(objects["mailbox"]) if name not in objects["forward"]]
        database = self.first("database")
        users = {entry["user"] for entry in objects["domain"].values()}
        return {
            "domain": objects["database"][database]["domain"],
            "mailbox": boxes[-1],
            "forward": self.first("forward", lambda name, entry: name not in objects["mailbox"]),
            "mail_alias": self.first("mail_alias"),
            "database": database,
            "database_user": self.first("database_user"),
            "domain_alias": self.first("domain_alias"),
            "subdomain": self.first("subdomain"),
            "list": self.first("list"),
            "certificate": self.first("certificate", lambda name, entry: not name.startswith("server/")),
            "ftp_user": self.first("ftp_user", lambda name, entry: name not in users),
            "customer": self.first("customer", lambda name, entry: entry["type"] == "client"),
            "dns_zone": self.first("dns_zone", lambda name, entry: name in objects["domain"]),
        }


@functools.lru_cache(maxsize=None)
def host(seed=1, version="18.0.62.2"):
    """A Host that tests share: who changes its store makes one of his own."""
    root = tempfile.mkdtemp(prefix="intact-plesk-")
    atexit.register(shutil.rmtree, root, True)
    return Host(root, seed, version)


def spoken(run_text, world):
    """Names of the planted secrets that stand in a text."""
    held = {name: value for name, value in world.secrets.items() if value}
    return [name for name, value in held.items() if value in run_text or json.dumps(value)[1:-1] in run_text]
