# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Databases whose content is not what the look before the flight saw: dumped whole, each table named with its rows before and after."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import databases
from ansible_collections.intact.hosting.plugins.module_utils._backup._stream import CHUNK, TAIL
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

CONTENT = ("table", "materialised view")


def changed(before, after, unread=()):
    """{database: [{table, before, after, how}]} and the servers whose accounts differ. before, after: sections databases of two baselines. Pure.

    before, after: numbers of rows, None where the table is not there. how: new, gone, or as the digests judge (added, changed, lost ...).
    """
    old, new = before.get("items") or {}, after.get("items") or {}
    out, accounts = {}, set()
    for subject in sorted(set(old) | set(new)):
        was, now = old.get(subject), new.get(subject)
        item = now or was
        server = subject.split(":", 1)[0].split(" ", 1)[0]
        if item["kind"] in ("user", "role") and (was or {}).get("secret") != (now or {}).get("secret"):
            accounts.add(server)
        if item["kind"] == "database" and (was is None or (subject in unread and now is not None)):
            out.setdefault(subject, [])
        if item["kind"] not in CONTENT:
            continue
        how = "new" if was is None else "gone" if now is None else "unknown" if subject in unread else _how(was, now)
        if how:
            name = "%s:%s" % (server, item["database"])
            rows = [entry.get("rows") if entry else None for entry in (was, now)]
            out.setdefault(name, []).append({"table": subject.split(":", 1)[1], "before": rows[0], "after": rows[1], "how": how})
    return out, accounts


def _how(was, now):
    if was.get("error") or now.get("error"):
        return "unknown"
    if "rows" not in was or "rows" not in now:
        return ""
    verdict = _digests.judge(was, now)
    return verdict[0] if verdict else ""


def save(store, before, after, system, options=None, everything=False, unread=()):
    """Dump every changed database; [{database, file, sha256, bytes, tables}]. everything: the earlier look says nothing, so all are saved."""
    wanted, accounts = changed(before, after, unread)
    items = after.get("items") or {}
    for subject, item in sorted(items.items()):
        if item["kind"] in ("server", "database") and item.get("error"):
            store.lost(subject, "it can't be read: %s" % item["error"])
    if not wanted and not accounts and not everything:
        return []
    out, seen = [], set()
    skipped = len(system.unlooked)
    for name, opening in databases.dumps(system, dict(options or {})):
        is_accounts = name.endswith(" accounts")
        if not everything and name not in wanted and not (is_accounts and name.partition(" ")[0] in accounts):
            continue
        seen.add(name)
        try:
            with opening() as dump:
                entry = store.put(dump.path, _checked(dump), name)
            out.append({"database": name, "file": entry["file"], "sha256": entry["sha256"], "bytes": entry["bytes"], "tables": wanted.get(name, [])})
        except (IntactError, OSError) as exc:
            store.lost(name, str(exc))
    for entry in system.unlooked[skipped:]:
        store.lost(entry["what"], entry["why"])
    for name in sorted(set(wanted) - seen):
        if name in items or any(table["how"] != "gone" for table in wanted[name]):
            store.lost(name, "no program here dumps it")
        else:
            # What was dropped since is in the snapshot.
            out.append({"database": name, "file": "", "sha256": "", "bytes": 0, "tables": wanted[name]})
    return out


def _checked(dump):
    """The stream of a dump; raises IntactError when it is not whole."""
    tail, source = b"", dump.process.stdout
    while True:
        chunk = source.read(CHUNK)
        if not chunk:
            break
        tail = (tail + chunk)[-TAIL:]
        yield chunk
    status = dump.process.wait()
    if status or not dump.complete(tail):
        raise IntactError("its dump is not whole (status %s): %s" % (status, dump.said().splitlines()[-1:] or ["no word"]))
