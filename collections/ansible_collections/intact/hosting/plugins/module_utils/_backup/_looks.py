# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How each section of a manifest is looked at again in a restored tree: the same probes, less what only the running host could tell.

Each look is function(view, before) -> (before, after): what of the manifest's data can be seen in files, and the same data as it is in the tree.
"""

from __future__ import annotations

import os
import posixpath

from ansible_collections.intact.hosting.plugins.module_utils._backup import _compared, _late
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests, _mailboxes, _sqlite, accounts, cron, files, lists
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import compare as compare_documents
from ansible_collections.intact.hosting.plugins.module_utils._baseline._registry import PROBES
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Told by the package database and by who runs, not by the tree.
OF_THE_HOST = {"files": ("origin", "package"), "cron": ("runs", "origin")}
# The same of accounts: in the places that the comparison reads, alike on both sides.
UNTOLD = {"shell_there": True, "home_state": "", "keys": []}


def _less(items, section, keep=lambda _subject, _item: True):
    left_out = OF_THE_HOST[section]
    return {s: {k: v for k, v in item.items() if k not in left_out} for s, item in items.items() if keep(s, item)}


def relinked(items):
    """Hard link groups named by the first of the names that are left."""
    groups = {}
    for path, item in items.items():
        if item.get("hardlink"):
            groups.setdefault(item["hardlink"], []).append(path)
    for paths in groups.values():
        for path in paths:
            items[path] = dict(items[path])
            if len(paths) > 1:
                items[path]["hardlink"] = min(paths)
            else:
                del items[path]["hardlink"]
    return items


def look_files(view, before):
    """Every entry with its content and metadata, by the trees and exclusions that the manifest was made with."""
    view.options = {
        "trees": [os.fsdecode(unescape(tree)) for tree in before.get("trees", [])],
        "default_excludes": False,
        "exclude": [{k: v for k, v in rule.items() if k != "programs"} for rule in before.get("excluded", [])],
        "privileged": [],
    }
    after = files.capture(view)
    roots = tuple(after["trees"])

    def inside(path, _item):
        # set-id programs of the system are recorded where they lie, but they come with packages and are in no snapshot
        return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)

    return dict(before, items=_less(before.get("items", {}), "files", inside), claimed=[]), dict(after, items=_less(after["items"], "files"), claimed=[])


def look_mail(view, before):
    """Every mailbox, opened by the baseline's own reader at the place that the manifest names."""
    boxes = {s: dict(item) for s, item in before.get("items", {}).items() if item.get("kind") == "mailbox"}
    after = {}
    for user, box in boxes.items():
        box["secret"] = ""  # keyed by the host's id; the password file itself is in the section files
        if any(not folder.get("path") for folder in box["folders"].values()):
            view.skip("mailbox " + user, "only Dovecot can read this format: its files were compared, its messages were not")
            after[user] = dict(box)
            continue
        inbox, other, home = _places(box)
        folders = _mailboxes.read(view, inbox, other, int(view.options.get("messages_listed", 50000)), view.spend)
        if folders:
            more = _mailboxes.extras(view, home, posixpath.dirname(other), inbox)
            after[user] = dict(more, kind="mailbox", secret="", folders=folders, home=box.get("home", ""), paths=box["paths"])
    return dict(before, items=boxes), dict(before, items=after)


def _places(box):
    """(inbox, path that a folder called PROBE has, home) of a mailbox item."""
    paths = {name: os.fsdecode(unescape(folder["path"])) for name, folder in box["folders"].items()}
    roots = [os.fsdecode(unescape(path)) for path in box["paths"]]
    inbox = paths.get("INBOX") or roots[0]
    others = [path for name, path in paths.items() if name != "INBOX"]
    hidden = all(posixpath.basename(path).startswith(".") for path in others)
    root = next((path for path in roots if path != inbox), inbox)
    if others and hidden:
        root = posixpath.dirname(others[0])
    elif others and not all(path.startswith(root + "/") for path in others):
        root = posixpath.commonpath([posixpath.dirname(path) for path in others])
    return inbox, root + ("/." if hidden else "/") + _mailboxes.PROBE, os.fsdecode(unescape(box.get("home", "")))


def look_sqlite(view, before):
    """SQLite files where they lie; what servers held is looked at in a throw-away server (see _drill)."""
    old = {s: item for s, item in before.get("items", {}).items() if s.startswith(_sqlite.NAME + ":")}
    rules, after = _digests.VOLATILE + list(view.options.get("volatile", [])), {}
    for subject, item in old.items():
        path = os.fsdecode(unescape(item.get("path") or ""))
        if item["kind"] == "database" and view.exists(path):
            after.update(_sqlite.read_file(view, path, subject, rules))
    return dict(before, items=old), dict(before, items=after)


def look_cron(view, before):
    """Jobs as the tables say; whether their programs are there is the host's business."""
    after = cron.capture(view) or {"items": {}}

    def tables(_subject, item):
        return item.get("kind") != "timer"

    old = dict(before, items=_less(before.get("items", {}), "cron", tables))
    return old, dict(after, items=_less(after["items"], "cron", tables), **({"clock": before["clock"]} if "clock" in before else {}))


def look_accounts(view, before):
    """Accounts and groups as the files say. The key that password digests were made with stays on its host: the files' own digests tell of passwords."""
    view.options = dict(view.options, read_only=True)
    after = accounts.capture(view)
    view.unlooked = [entry for entry in view.unlooked if entry["what"] != "passwords"]
    sides = []
    for data in (before, after):
        items = {s: dict(item) for s, item in data.get("items", {}).items() if not s.startswith("quota ")}
        for item in items.values():
            item.update({key: value for key, value in UNTOLD.items() if key in item})
            if "password" in item:
                item["password"] = dict(item["password"], digest=None)
        sides.append(dict(data, items=items))
    return sides[0], sides[1]


def look_lists(view, before):
    """Mailing lists with their members from a database that is a file."""
    if (before.get("source") or {}).get("kind") != _sqlite.NAME:
        raise IntactError("their database is a stream")
    return before, lists.capture(view) or {"items": {}, "templates": {}}


LOOKS = {
    "files": look_files,
    "mail": look_mail,
    "databases": look_sqlite,
    "cron": look_cron,
    "accounts": look_accounts,
    "lists": look_lists,
}


def compare(sections, make_view, volatile=(), more=None, late=None):
    """Look at sections of a manifest again and compare: (findings, {section: what was seen, as a summary}, [section that nothing can be said of], numbers).

    make_view(section) -> a System. volatile: subjects that changed while they were backed up, see _compared.loosened(); numbers: a _compared.Counted.
    more: {section: (before, after)} that was looked at elsewhere, such as databases in a throw-away server.
    late: function(before, after) of the section files -> (before, paths) as _late.told(): what the snapshot says of what changed after the manifest's look.
    """
    old, new, summaries, blind, pairs = {}, {}, {}, [], {}
    volatile = frozenset(volatile)
    # files first: what is late of them tells of the others
    for section, data in sorted(sections.items(), key=lambda entry: entry[0] != "files"):
        view = make_view(section)
        if not data or not data.get("items") and section not in (more or {}):
            continue
        pair = (more or {}).get(section)
        state = {"status": "ok", "reason": ""}
        if pair is None and section not in LOOKS:
            blind.append(section)
            continue
        try:
            looked = pair if pair is not None else LOOKS[section](view, data)
            before, after = looked
            if section == "files" and late:
                before, changed = late(before, after)
                volatile |= changed | _late.touched(sections, changed)
            before, after = _compared.loosened(section, before, after, volatile)
            pairs[section] = looked
        except (IntactError, OSError, ValueError, KeyError) as exc:
            before, after = data, None
            state = {"status": "failed", "reason": "%s: %s" % (type(exc).__name__, exc) if isinstance(exc, KeyError) else str(exc)}
        old[section] = _section(before, {"status": "ok", "reason": ""})
        new[section] = _section(after, dict(state, unlooked=view.unlooked))
        summaries[section] = (after or {}).get("summary") or {"items": len((after or {}).get("items", {}))}
    result = compare_documents({"sections": old}, {"sections": new}, {name: PROBES[name] for name in old if name in PROBES})
    return result["findings"], summaries, blind, _compared.Counted(sections, pairs, volatile)


def _section(data, state):
    section = dict({"unlooked": [], "seconds": 0, "bytes": 0}, **state)
    if data is not None:
        section["data"] = data
    return section
