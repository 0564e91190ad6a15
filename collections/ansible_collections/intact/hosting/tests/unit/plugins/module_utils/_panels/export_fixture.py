# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An export that was made without a panel: what a driver wrote, stored and sealed, for tests of what drivers share."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory

FACTS = {"version": "18.0", "met": "stand-in", "host": "web1", "host_id": "aa", "seconds": 1.5}
OBJECTS = {"domain": {"example.com": {}}, "mailbox": {"ann@example.com": {"password": _inventory.secret("hunter2")}}}


def inventory(objects=None, **more):
    return _inventory.make("plesk", "18.0", "web1", "sql", OBJECTS if objects is None else objects, **more)


def passphrase(folder, text="correct horse"):
    """The path of a passphrase file that only we can read."""
    path = os.path.join(str(folder), "passphrase")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as handle:
        handle.write(text + "\n")
    return path


def export(root, files, verdict="proven", secret=None, moment=None, said=(), rc=0, mode="settings", facts=None, **more):
    """The path of a sealed export. files: {name: bytes}, all artefacts but those whose name ends in .key. facts: instead of FACTS. more: for the inventory."""
    with _export.begin("plesk", mode, str(root), moment) as work:
        for name, data in files.items():
            with open(os.path.join(work.target, name), "wb") as handle:
                handle.write(data)
        named = [{"name": name, "role": "key" if name.endswith(".key") else "artefact"} for name in files]
        taken = dict(inventory(**more), **({"taken": moment.strftime("%Y-%m-%dT%H:%M:%SZ")} if moment else {}))
        document = _export.store(work, {"files": named, "said": list(said), "rc": rc}, taken, dict(FACTS, **(facts or {})), secret)
        return _export.seal(work, dict(document, verdict=verdict))
