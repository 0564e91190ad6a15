# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Databases: every database, table, row and right of MariaDB, PostgreSQL and SQLite, digested inside the server."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _digests, _mysql, _postgresql, _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "databases"
ENGINES = (_mysql, _postgresql, _sqlite)
RESTORE = "restore it from the dump that was taken before, or allow the change with a reason if it was wanted"


def capture(system):
    """Items by what an operator would name: mariadb:shop.orders, postgresql:app.public.items, sqlite:/home/…/db.sqlite#notes.

    Options: volatile [{table, where | columns | rows: false, reason}] (added to _digests.VOLATILE), table_bytes, sqlite_trees,
    sqlite_bytes, sqlite_entries, mysql_defaults_file.
    """
    rules = _digests.VOLATILE + list(system.options.get("volatile", []))
    items, present = {}, False
    for engine in ENGINES:
        found = engine.capture(system, rules)
        if found is not None:
            present = True
            items.update(found)
    if not present:
        return None
    kinds = [item["kind"] for item in items.values()]
    return {
        "items": items,
        "summary": {
            "databases": kinds.count("database"),
            "tables": kinds.count("table"),
            "rows": sum(item.get("rows", 0) for item in items.values()),
            "views, routines, triggers": sum(kinds.count(k) for k in ("view", "routine", "trigger", "event", "materialised view")),
            "users": kinds.count("user") + kinds.count("role"),
        },
    }


def compare(before, after):
    """Findings: one for each server, database, table, object or user that is gone or differs; what is inside a lost database is told by it."""
    old, new = before.get("items", {}), after.get("items", {})
    dead = {s for s in set(old) | set(new) if new.get(s, {}).get("kind") == "server" and new[s].get("error")}
    dead |= {s for s in old if old[s]["kind"] == "server" and s not in new}
    gone = {s for s in old if old[s]["kind"] == "database" and (s not in new or "error" in new[s])}
    fresh = {s for s in new if new[s]["kind"] == "database" and s not in old}
    blind = {s for s in old if old[s]["kind"] in ("server", "database") and old[s].get("error")}
    out = []
    for subject in sorted(set(old) | set(new)):
        parent = _parents(subject, old.get(subject) or new.get(subject))
        if parent & (dead | gone | blind) - {subject} or (subject not in old and parent & fresh - {subject}):
            continue
        if subject not in new:
            out.append(_missing(subject, old[subject], old))
        elif subject not in old:
            out.append(
                _finding(
                    "new",
                    "warning",
                    subject,
                    "%s was not there before" % _what(new[subject], subject),
                    "",
                    "new",
                    "",
                    None,
                    None,
                    remedy="find out who made it",
                    item=new[subject],
                )
            )
        else:
            out += _changed(subject, old[subject], new[subject], old)
    return out


def _parents(subject, item):
    """The subjects of the server and the database that hold this one."""
    server = subject.split(":", 1)[0].split(" ", 1)[0]
    database = item.get("database")
    return {server} | ({"%s:%s" % (server, database)} if database else set())


def _what(item, subject):
    server = subject.split(":", 1)[0].split(" ", 1)[0]
    return "%s%s" % ("" if item["kind"] in ("server",) else server + " ", item["kind"])


def _paths(subject, item):
    """What this depends on, for correlation: its service, its directory or file."""
    server = subject.split(":", 1)[0].split(" ", 1)[0]
    if server == _mysql.NAME:
        return ["service:mariadb.service", "service:mysql.service", "/var/lib/mysql"]
    if server.startswith(_postgresql.NAME):
        return ["service:postgresql", "/var/lib/postgresql"] + (["service:" + item["unit"]] if item.get("unit") else [])
    return [item.get("path") or item.get("database") or ""]


def _covers(subject, item):
    if subject.startswith(_sqlite.NAME + ":"):
        # the file that holds it changed with it
        path = item.get("path") or item.get("database")
        return [{"section": "files", "path": path}, {"section": "sites", "path": "database:" + path}]
    database = item.get("database") or (subject.split(":", 1)[1] if item["kind"] == "database" else None)
    if item["kind"] in ("server", "database"):
        return [{"section": "*", "path": "database:" + (database or "")}]
    return [{"section": "sites", "path": "database:" + database}] if database else []


def _finding(name, severity, subject, title, evidence, change, attribute, before, after, remedy=RESTORE, item=None):
    return Finding(
        id="databases." + name,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy,
        check="QF20",
        details=_compare.details(change, attribute, before, after, paths=_paths(subject, item), kind=item["kind"]),
        covers=_covers(subject, item),
    )


def _missing(subject, item, old):
    inside = [s for s, other in old.items() if subject in _parents(s, other) and s != subject]
    rows = sum(old[s].get("rows", 0) for s in inside) if inside else item.get("rows", 0)
    evidence = "it held %d objects with %d rows" % (len(inside), rows) if inside else "it had %d rows" % rows if "rows" in item else ""
    severity = "warning" if item["kind"] in ("extension", "index") else "blocker"
    return _finding(
        "missing" if item["kind"] in ("server", "database") else item["kind"].replace(" ", "_") + ".missing",
        severity,
        subject,
        "%s is gone" % _what(item, subject),
        evidence,
        "missing",
        "",
        None,
        None,
        item=item,
    )


def _changed(subject, old, new, before):
    kind = new["kind"]
    if old.get("error") or new.get("error"):
        if new.get("error"):
            again = " (and could not be read before)" if old.get("error") else ""
            return [
                _finding(
                    "unread",
                    "blocker",
                    subject,
                    "%s can't be read%s" % (_what(new, subject), again),
                    new["error"],
                    "changed",
                    "error",
                    old.get("error"),
                    new["error"],
                    remedy="start or repair it, then capture again",
                    item=new,
                )
            ]
        return [
            _finding(
                "unread",
                "warning",
                subject,
                "%s could not be read before: nothing to compare with" % _what(new, subject),
                old["error"],
                "changed",
                "error",
                old["error"],
                None,
                remedy="look at its content yourself, or waive this",
                item=new,
            )
        ]
    if kind != old["kind"]:
        return [
            _finding(
                "object.changed", "blocker", subject, "it was a %s, now it is a %s" % (old["kind"], kind), "", "changed", "kind", old["kind"], kind, item=new
            )
        ]
    if kind == "user":
        return _user(subject, old, new, before)
    if kind == "sequence":
        if (new.get("value") or 0) < (old.get("value") or 0):
            return [
                _finding(
                    "sequence.changed",
                    "blocker",
                    subject,
                    "the sequence went back: new rows will collide with old ones",
                    "%s, now %s" % (old["value"], new["value"]),
                    "changed",
                    "value",
                    old["value"],
                    new["value"],
                    item=new,
                )
            ]
        old, new = dict(old, value=None), dict(new, value=None)
    if "rows" in old and "rows" in new and old.get("stored", True) and new.get("stored", True):
        verdict = _digests.judge(old, new)
        reshaped = old.get("structure") != new.get("structure")
        if reshaped:
            return [
                _finding(
                    "structure.changed",
                    "blocker",
                    subject,
                    "the table's columns, keys or indexes changed",
                    "%d rows, now %d; structure digest %s, now %s" % (old["rows"], new["rows"], old.get("structure"), new.get("structure")),
                    "changed",
                    "structure",
                    old.get("structure"),
                    new.get("structure"),
                    item=new,
                )
            ]
        if verdict:
            word, sentence = verdict
            severity = {"added": "info", "grown": "warning"}.get(word, "blocker")
            titles = {"lost": "rows are lost", "changed": "rows changed", "rewritten": "rows changed, and rows were added", "added": "rows were added"}
            titles["grown"] = "rows were added, and whether earlier ones changed can't be told"
            out = _finding("rows." + word, severity, subject, titles[word], sentence, "changed", "rows", old["rows"], new["rows"], item=new)
            if word in ("added", "grown"):
                out.remedy = "nothing, if customers were writing at the time"
            elif kind == "materialised view" and word in ("changed", "rewritten"):
                # an upgrade or a load fills it anew, and it may have been stale
                out.severity, out.remedy = "warning", "nothing, if it may be filled anew: the tables that it is made from are compared by themselves"
            return [out]
    ignored = {"rows", "parts", "chunk", "key", "top", "earlier", "version", "known", "stored", "unit", "value"}
    differ = [(a, o, n) for _s, _c, a, o, n in _compare.differences({subject: old}, {subject: new}, ignored)]
    if not differ:
        return []
    severity = "warning" if {a for a, _o, _n in differ} <= {"engine", "collation", "charset"} else "blocker"
    attribute, was, now = differ[0]
    return [
        _finding(
            kind.replace(" ", "_") + ".changed",
            severity,
            subject,
            "%s changed: %s" % (_what(new, subject), ", ".join(a for a, _o, _n in differ)),
            "; ".join("%s was %s, is %s" % (a, _shown(a, o), _shown(a, n)) for a, o, n in differ),
            "changed",
            attribute,
            was,
            now,
            item=new,
        )
    ]


def _shown(attribute, value):
    return "(a digest) %s" % value if attribute in ("definition", "secret", "structure") and value else repr(value) if not value else str(value)


def _user(subject, old, new, before):
    """Rights that were lost or gained; a right that the old server did not know can't have been given by a person."""
    known = set(before.get(_mysql.NAME, {}).get("known", []))
    lost, gained = [], []
    for target in sorted(set(old["privileges"]) | set(new["privileges"])):
        had, has = set(old["privileges"].get(target, [])), set(new["privileges"].get(target, []))
        lost += ["%s on %s" % (name, target) for name in sorted(had - has)]
        gained += ["%s on %s" % (name, target) for name in sorted(has - had) if name in known or not known]
    out = []
    words = (["lost " + ", ".join(lost)] if lost else []) + (["gained " + ", ".join(gained)] if gained else [])
    words += ["another password"] if old["secret"] != new["secret"] else []
    words += ["authentication by %s, now %s" % (old["plugin"], new["plugin"])] if old["plugin"] != new["plugin"] else []
    if words:
        attribute = "privileges" if lost or gained else "secret" if old["secret"] != new["secret"] else "plugin"
        out.append(
            _finding(
                "user.changed",
                "blocker",
                subject,
                "the database user changed",
                "; ".join(words),
                "changed",
                attribute,
                None if attribute == "secret" else old[attribute],
                None if attribute == "secret" else new[attribute],
                item=new,
            )
        )
    return out
