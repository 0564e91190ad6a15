# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An export back into a Plesk, and Plesk's repair. What came of it is told by the inventory afterwards, not by these programs."""

from __future__ import annotations

import gzip
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _plesk_check, _plesk_host, _plesk_sql

MOST = 2 << 30
_BLOCK = 1 << 20
_CHECKED = re.compile(r"^(.*?)[\s.]*\[(OK|WARNING|ERROR)\]\s*\Z")


def restore(system, found, opened, say):
    """{said, rc}: by pleskrestore when the export is a backup, by the database's client when it is a dump of the panel's database."""
    name = next(iter(opened.names("artefact", "dump")), None)
    if not name:
        raise IntactError("the export has nothing to restore from")
    described = [path for path in opened.contents(name, enter=_plesk_check.enter).members if _plesk_check.described(path)]
    return backup(system, found, opened, name, described, say) if described else dump(system, opened, name, say)


def backup(system, found, opened, name, described, say):
    """pleskrestore. A file is imported first: restoring it directly fails in the field, its description in the repository does not (facts 1.6)."""
    password = _plesk_host.backup_password(system)
    own, path = {"PLESK_BACKUP_PASSWORD": password} if password else None, opened.files[name]
    program = _plesk_host.program(system, found, "pleskrestore")
    ignore = ["-ignore-sign"] if system.options.get("ignore_signature") else []
    say("Plesk imports %s" % name)
    result = system.run(program + ["--info", path], timeout=_plesk_host.PATIENCE, env=own, check=False)
    said = _plesk_host.lines(result, [password])
    if result.rc:
        return {"said": said, "rc": result.rc}
    tops = sorted(os.path.join(found["dumps"], os.path.basename(one)) for one in described if re.search(r"(?:^|!)[^/!]*_info_\d+\.xml\Z", one))
    known = next((one for one in tops if system.exists(one)), path)
    say("Plesk restores %s" % os.path.basename(known))
    result = system.run(program + ["--restore", known, "-level", "server", "-verbose"] + ignore, timeout=_plesk_host.PATIENCE, env=own, check=False)
    return {"said": (said + _plesk_host.lines(result, [password]))[-60:], "rc": result.rc}


def brings(opened, panel_kinds=None):
    """Kinds that come back: by a dump all that is in the database; by a backup what its description is known to name, or panel_kinds of its version."""
    name = next(iter(opened.names("artefact", "dump")), "")
    if is_dump(name):
        return [kind for kind in _inventory.KINDS if kind != "cron_job"]
    return panel_kinds or [kind for kind in _inventory.KINDS if kind not in _plesk_check.ELSEWHERE]


def is_dump(name):
    """Whether a file of an export is a dump of the panel's database, by its name."""
    return name.endswith((".sql", ".sql.gz", ".dump.gz")) or ".daily.dump." in name


def dump(system, opened, name, say):
    """The panel's tables by its database's client, and the key that they were made with."""
    say("the panel's database is loaded from %s" % name)
    with opened.stream(name) as source:
        text = _psa(_plain(source))
    argv, own = _plesk_host.client(system)
    result = system.run(argv, timeout=_plesk_host.PATIENCE, stdin=text, env=own, check=False)
    said = _plesk_host.lines(result)
    if not result.rc:
        said += _put_key(system, opened)
    return {"said": said, "rc": result.rc}


def _plain(source):
    data, size = [], 0
    for block in iter(lambda: source.read(_BLOCK), b""):
        data.append(block)
        size += len(block)
        if size > MOST:
            raise IntactError("a dump of more than %d bytes is no panel's database" % MOST)
    raw = b"".join(data)
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def _psa(text):
    """The part of a dump that is the panel's database: Plesk's daily dumps hold others, whose tables nobody asked for."""
    marks = [found.start() for found in re.finditer(rb"(?m)^-- Current Database: ", text)]
    if not marks:
        return text
    head, out = text[: marks[0]], []
    for start, end in zip(marks, marks[1:] + [len(text)]):
        if re.match(rb"-- Current Database: `?%s`?\s*$" % _plesk_sql.DATABASE.encode(), text[start:end].split(b"\n", 1)[0]):
            out.append(text[start:end])
    if not out:
        raise IntactError("the dump does not hold the panel's database %s" % _plesk_sql.DATABASE)
    return head + b"".join(out)


def _put_key(system, opened):
    name = os.path.basename(_plesk_host.KEY)
    if name not in opened.names("key"):
        return []
    key, path = opened.read(name), _plesk_host.place(system, _plesk_host.KEY)
    if not key or key == system.read(_plesk_host.KEY):
        return []
    stat = system.lstat(_plesk_host.KEY)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    write_atomic(path, key, 0o600)
    if stat:
        os.chown(path, stat.st_uid, stat.st_gid)
    return ["the key that the passwords were encrypted with was put in place"]


def repair(system, found, panel):
    """Findings that plesk repair db still has after it was let repair."""
    if not system.which("plesk"):
        remedy = "compare the panel with its inventory by hand"
        title = "this version has no repair tool"
        return [_inventory.finding("panel.native", panel, "program", "plesk repair", title, "no program plesk", remedy, severity="warning")]
    out = _repaired(system, panel)
    if any(finding.severity == "blocker" for finding in out):
        system.run(["plesk", "repair", "db", "-y"], timeout=_plesk_host.PATIENCE, check=False)
        out = _repaired(system, panel)
    return out


def _repaired(system, panel):
    result = system.run(["plesk", "repair", "db", "-n"], timeout=_plesk_host.PATIENCE, check=False)
    out, checked = [], 0
    for line in _plesk_host.lines(result, most=1000):
        told = _CHECKED.match(line)
        checked += bool(told)
        if told and told.group(2) != "OK":
            severity = "blocker" if told.group(2) == "ERROR" else "warning"
            remedy = "plesk repair db; when it stays, take another source"
            out.append(
                _inventory.finding(
                    "panel.native", panel, "check", told.group(1).strip(), "plesk repair db says %s" % told.group(2), line, remedy, severity=severity
                )
            )
    if not checked:
        evidence = "; ".join(_plesk_host.lines(result)[-2:]) or "status %d without a word" % result.rc
        remedy = "start the panel's database, and check by hand: plesk repair db -n"
        out.append(_inventory.finding("panel.native", panel, "program", "plesk repair db", "it checked nothing", evidence, remedy))
    return out
