# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Tables of a cold server one by one: checked, repaired where only an index broke, digested, dumped. A server that dies of one is started again."""

from __future__ import annotations

import contextlib
import os
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._backup import mysql
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql as questions
from ansible_collections.intact.hosting.plugins.module_utils._cold import _dumped
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

STRUCTURE = ["--no-data", "--skip-triggers", "--skip-routines", "--skip-events"]
# bytes as they are stored: no charset between the table and the file
ROWS = ["--no-create-info", "--skip-triggers", "--skip-routines", "--skip-events", "--default-character-set=binary", "--complete-insert"]
# engines whose repair is their own business
REPAIRED = ("MYISAM", "ARIA", "ARCHIVE", "CSV", "")
DIED = "the server died of it"


def look(taking, name, kept):
    """Fill in the names of a database's tables (each {engine damaged said}) and views."""
    which = "= CONVERT(0x%s USING utf8mb4)" % name.encode("utf-8", "surrogateescape").hex()
    rows, said = taking.ask(
        "SELECT 'db', DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME %s;" % which,
        # by name and kind only: anything else opens the tables
        "SELECT 'table', HEX(TABLE_NAME), TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA %s;" % which,
        "SELECT 'end';",
    )
    if ["end"] not in rows:
        raise IntactError("the disk's server gave no list of the tables of %s: %s" % (escape(name), (said.splitlines() or ["nothing"])[-1]))
    for row in rows:
        if row[0] == "db":
            kept["charset"], kept["collation"] = row[1:3]
        elif row[0] == "table":
            table = questions.unhex(row[1])
            if row[2] == "VIEW":
                kept["views"].append(table)
            elif row[2] not in ("SYSTEM VIEW",):
                kept["tables"][table] = {"damaged": "", "rows": 0, "digest": "", "said": [], "file": "", "kind": row[2]}


def take(taking, name, table, entry):
    """Check, repair on the copy, digest and dump one table; what fails is told in entry["damaged"] in the server's words."""
    if entry["kind"] not in questions.STORED and entry["kind"] != "SEQUENCE":
        return
    if entry["kind"] in questions.STORED:
        _checked(taking, name, table, entry)
    for _time in range(2):
        if entry["damaged"] == DIED:
            return
        if _dumped_whole(taking, name, table, entry):
            return
        if _answers(taking):
            return
        entry["damaged"] = DIED
        _revive(taking)


def _quoted(name, table):
    return "%s.%s" % (questions.quote(name), questions.quote(table))


def _admin(taking, statement, name, table):
    """Messages [(kind, text)] of CHECK or REPAIR, or None when the server died of it."""
    rows, said = taking.ask(statement % _quoted(name, table) + ";", "SELECT 'end';")
    if ["end"] not in rows:
        _revive(taking)
        return None
    out = [(row[2].lower(), row[3].strip()) for row in rows if len(row) == 4]
    _dumped.never_full(" ".join([text for _kind, text in out] + [said]), taking.server.directory)
    return out + [("error", line) for line in said.splitlines() if line.startswith("ERROR")]


def _answers(taking):
    rows, _said = taking.ask("SELECT 'end';")
    return ["end"] in rows


def _revive(taking):
    """Start a server that died on what it has; where it dies of that too, on a fresh copy with the next level of force."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        taking.server._process.wait(60)
    try:
        taking.server.again()
    except IntactError:
        taking.server.reopen(taking.server.forced + 1)


def _wrong(messages):
    """The first complaint of CHECK or REPAIR, or ""."""
    status = next((text for kind, text in messages[::-1] if kind == "status"), "")
    if status.upper() in ("OK", "TABLE IS ALREADY UP TO DATE"):
        return ""
    return next((text for kind, text in messages if kind in ("error", "warning")), status or "it can't be checked")


def _checked(taking, name, table, entry):
    messages = _admin(taking, "CHECK TABLE %s EXTENDED", name, table)
    if messages is None:
        entry["damaged"] = DIED
        return
    wrong = _wrong(messages)
    if not wrong or "doesn't support check" in wrong:
        return
    rows, _said = taking.ask(
        "SELECT 'engine', IFNULL(ENGINE, '') FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = CONVERT(0x%s USING utf8mb4) AND TABLE_NAME = CONVERT(0x%s USING utf8mb4);"
        % (name.encode("utf-8", "surrogateescape").hex(), table.encode("utf-8", "surrogateescape").hex())
    )
    engine = next((row[1] for row in rows if row[:1] == ["engine"] and len(row) > 1), "")
    entry["damaged"], entry["engine"] = wrong, engine
    if engine.upper() not in REPAIRED:
        return
    before = taking.server.records(name, table)
    repaired = _admin(taking, "REPAIR TABLE %s", name, table)
    if repaired is None or _wrong(repaired):
        return
    again = _admin(taking, "CHECK TABLE %s EXTENDED", name, table)
    counted, _said = taking.ask("SELECT 'rows', COUNT(*) FROM %s;" % _quoted(name, table))
    after = next((int(row[1]) for row in counted if row[0] == "rows"), None)
    if again is not None and not _wrong(again) and after is not None:
        entry["damaged"], entry["repaired"] = "", {"why": wrong, "before": before, "after": after}
        lost = before is not None and after < before
        told = "%s; %s rows by its own count before, %d after" % (wrong, "an unknown number of" if before is None else before, after)
        remedy = "look for what is missing: it was cut out of the table" if lost else "none: it was repaired on the copy"
        taking.findings.append(
            _dumped.finding(
                "repaired", "blocker" if lost else "warning", "%s.%s" % (name, table), "this table was crashed and was repaired, on the copy", told, remedy
            )
        )


def _dumped_whole(taking, name, table, entry):
    """Whether the table was digested and dumped to its end."""
    path = "%s/%s.sql" % (_dumped.quoted(name), _dumped.quoted(table))
    complaints = []

    def structure(fd):
        complaints.append(taking.dump(fd, STRUCTURE, name, table))

    def rows(fd):
        complaints.append(taking.dump(fd, ROWS, name, table))

    taking._files.write(path, structure)
    whole = complaints[0][0] and _dumped.whole(os.path.join(taking._files.top, path), mysql.ENDING)
    if whole and entry["kind"] != "SEQUENCE":
        taking._files.append(path, rows)
        whole = complaints[-1][0] and _dumped.whole(os.path.join(taking._files.top, path), mysql.ENDING)
    entry["file"] = path
    if not whole:
        said = " ".join(text for _good, text in complaints).strip()
        entry["damaged"] = entry["damaged"] or escape(said.splitlines()[0] if said else "its dump has no end")
        return False
    if entry["kind"] == "SEQUENCE":
        return True
    item = _item(taking, name, table)
    if item.get("error"):
        _dumped.never_full(item["error"], taking.server.directory)
        entry["damaged"] = entry["damaged"] or escape(item["error"])
        return False
    entry.update(item=item, rows=item["rows"], digest=_dumped.digest(item))
    return True


def _found(taking, name):
    client = mysql.CLIENTS[0] if taking.system().which(mysql.CLIENTS[0]) else "mysql"
    which = "= CONVERT(0x%s USING utf8mb4)" % name.encode("utf-8", "surrogateescape").hex()
    return client, questions._look(taking.system(), client, questions.METADATA, which)


def _item(taking, name, table):
    """The baseline's item of one table, of the text that a dump of it carries."""
    client, found = _found(taking, name)
    key = (name, table)
    if key not in found["tables"]:
        return {"error": "it is not told of"}
    floats = [c["name"] for c in found["tables"][key]["columns"] if c["kind"] == "float"]
    rules = float_rules(taking, name, table, floats)
    items = questions._tables(taking.system(), client, {key: found["tables"][key]}, rules)
    item = next(iter(items.values()))
    if rules:
        item["rules"] = rules
        taking.findings.append(
            _dumped.finding("float", "info", "%s.%s" % (name, table), "digits of a FLOAT after the sixth are not in a dump", rules[0]["reason"])
        )
    return item


def float_rules(taking, name, table, floats):
    """Rules that leave out of the digest what no dump of mariadb-dump carries: digits of a FLOAT after the sixth."""
    lost = []
    for column in floats:
        quoted = questions.quote(column)
        rows, _said = taking.ask("SELECT 'lost', COUNT(*) FROM %s WHERE CAST(CAST(%s AS CHAR) AS FLOAT) <> %s;" % (_quoted(name, table), quoted, quoted))
        if [row for row in rows if row[0] == "lost" and row[1] != "0"] or not rows:
            lost.append(column)
    if not lost:
        return []
    return [
        {
            "table": mysql._glob("%s.%s" % (name, table)),
            "columns": lost,
            "reason": "the dump can't carry digits of a FLOAT after the sixth: %s" % ", ".join(lost),
        }
    ]


def objects(taking, name):
    """{subject: item} of a database itself, its views, routines, triggers and events."""
    _client, found = _found(taking, name)
    found["dbs"] = {key: value for key, value in found["dbs"].items() if key == name}
    found["objects"] = {key: value for key, value in found["objects"].items() if key[0] == name}
    return questions._inside(found)


def salvage(taking):
    """What of damaged tables can be read by a server that is told to go on, each level on a fresh overlay; then name each that is still damaged."""
    waiting = [(name, table) for name, kept in taking.databases.items() for table, entry in kept["tables"].items() if entry["damaged"]]
    level = taking.server.forced + 1
    # a forced start is InnoDB's affair
    left = [(name, table) for name, table in waiting if taking.databases[name]["tables"][table].get("engine", "").upper() not in REPAIRED[:-1]]
    while left and level <= 3 and not taking.server.by_disk:
        try:
            taking.server.reopen(level)
        except IntactError as exc:
            taking.server.said.append("not opened with innodb_force_recovery=%d: %s" % (level, exc))
            break
        for name, table in list(left):
            entry = taking.databases[name]["tables"][table]
            if _dumped_whole(taking, name, table, entry):
                entry["salvaged"] = taking.server.forced
                left.remove((name, table))
            elif not _answers(taking):
                _revive(taking)
        level = max(level, taking.server.forced) + 1
    for name, table in waiting:
        entry = taking.databases[name]["tables"][table]
        told = "%d rows could be read with innodb_force_recovery=%d" % (entry["rows"], entry["salvaged"]) if entry.get("salvaged") else "none of it was saved"
        taking.findings.append(
            _dumped.finding(
                "damaged",
                "blocker",
                "%s.%s" % (name, table),
                "this table is damaged on the disk: %s" % told,
                entry["damaged"],
                "bring it back from a backup, or waive the loss",
            )
        )
