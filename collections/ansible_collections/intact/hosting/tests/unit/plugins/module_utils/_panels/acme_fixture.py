# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Acme Panel, for the example driver: a store, a program that exports it, and a switch for each way in which panels fail."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sqlite3
import sys

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._command import run

# In what a customer or the panel keeps secret.
PLANTED = ("PLANTED-mailbox-password", "PLANTED-panel-key", "PLANTED-said", "PLANTED passphrase")
PROGRAM = r"""
import io, json, os, sqlite3, sys, tarfile
home, target, fault = os.environ["ACME_HOME"], sys.argv[2], os.environ.get("ACME_FAULT", "")
print("acme: exporting with password=PLANTED-said")
connection = sqlite3.connect(os.path.join(home, "store.sqlite"))
out = io.BytesIO()
archive = tarfile.open(fileobj=out, mode="w:gz")
def add(name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
for (domain,) in connection.execute("SELECT name FROM domains").fetchall():
    if fault == "missing" and domain == "b.example":
        continue
    boxes = connection.execute("SELECT address, quota, password FROM mailboxes WHERE domain = ?", (domain,)).fetchall()
    boxes = [dict(zip(("address", "quota", "password"), box)) for box in boxes]
    if fault == "altered":
        boxes = [dict(box, address="'" + box["address"]) for box in boxes]
    data = b"{" if fault == "schema" else json.dumps({"mailboxes": boxes, "page": "pages/%s" % domain}).encode()
    add("domains/%s.json" % domain, data)
    if fault != "reference":
        add("pages/%s" % domain, b"<h1>" + domain.encode())
archive.close()
data = out.getvalue()
if fault == "truncated":
    data = data[:-20]
if fault == "said":
    print("error: could not dump b.example")
if fault == "warning":
    print("could not send statistics")
with open(target, "wb") as handle:
    handle.write(data)
sys.exit(7 if fault == "status" else 0)
"""


def driver():
    """The example, as the documentation has it."""
    place = next(parent for parent in pathlib.Path(__file__).resolve().parents if (parent / "docs/examples/panel_driver.py").is_file())
    spec = importlib.util.spec_from_file_location("panel_driver", place / "docs/examples/panel_driver.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Host(Rooted):
    """A host below a directory that has Acme and no other program. fault: how its export fails."""

    fault = ""

    def which(self, program):
        return None

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        if argv[0] != "acme":
            return super().run(argv, timeout, stdin, env, check)
        home = self.place("/usr/local/acme")
        return run([sys.executable, self.place("/usr/local/acme/acme.py"), *argv[1:]], env={"ACME_HOME": home, "ACME_FAULT": self.fault}, check=check)


def host(folder, fault=""):
    """A Host with two domains and three mailboxes."""
    root = pathlib.Path(str(folder))
    (root / "usr/local/acme").mkdir(parents=True)
    (root / "usr/local/acme/acme.py").write_text(PROGRAM)
    for path, text in {
        "usr/local/acme/version": "4.2\n",
        "usr/local/acme/secret.key": PLANTED[1],
        "etc/hostname": "web1\n",
        "etc/machine-id": "aa11\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    connection = sqlite3.connect(str(root / "usr/local/acme/store.sqlite"))
    connection.executescript("CREATE TABLE domains (name); CREATE TABLE mailboxes (address, domain, quota, password);")
    connection.executemany("INSERT INTO domains VALUES (?)", [("a.example",), ("b.example",)])
    boxes = [("ann@a.example", "a.example", 100, PLANTED[0]), ("bob@b.example", "b.example", 200, "x"), ("'@b.example", "b.example", 1, "y")]
    connection.executemany("INSERT INTO mailboxes VALUES (?, ?, ?, ?)", boxes)
    connection.commit()
    connection.close()
    out = Host(os.fsencode(str(root)))
    out.fault = fault
    return out
