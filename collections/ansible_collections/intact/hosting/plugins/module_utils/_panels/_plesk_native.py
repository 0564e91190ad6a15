# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Plesk's own checks of a backup, on a host that has it; and the preference that makes backups hold plain passwords, put back whatever happens."""

from __future__ import annotations

import contextlib
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _archives,
    _export,
    _inventory,
    _plesk_check,
    _plesk_host,
    _plesk_objects,
    _plesk_xml,
)

FOREIGN = re.compile(r"(?i)wrong signature|signature\W.{0,60}\b(?:mismatch|invalid|not valid|incorrect|failed)|\b(?:invalid|incorrect|bad) signature")
_SCHEMA_ERROR = re.compile(r":(\d+): element ([\w.:-]+): ([\w ]*error)")
_SHOWN = re.compile(r"(?mi)^\W*plain[- ]backups\W+(true|false)\b")
MARK = ".plain-backups-was"


def check(system, found, opened, panel):
    """Findings of pleskrestore --check-backup, backup_sign verify and xmllint, as far as they are there. None of their exit codes is documented."""
    out = []
    for name in opened.names("artefact"):
        told = opened.contents(name, _keep, lambda path: _plesk_xml.Scan(_plesk_objects.Reader()) if _plesk_check.described(path) else None, _plesk_check.enter)
        if told.scanned:
            out += _whole(system, found, opened, panel, name) + _signed(system, found, opened, panel, name, told)
    return out


def _keep(path, size):
    return _plesk_check.described(path) and size <= _archives.MOST_KEPT


def _severity(system):
    # an administrator may take another server's backup: that is said, and no longer stops
    return "warning" if system.options.get("ignore_signature") else "blocker"


def _whole(system, found, opened, panel, name):
    argv = _plesk_host.program(system, found, "pleskrestore") + ["--check-backup", opened.files[name]]
    result = system.run(argv, timeout=_plesk_host.PATIENCE, check=False)
    lines = _plesk_host.lines(result)
    foreign = [line for line in lines if FOREIGN.search(line)]
    if foreign:
        return [_foreign(system, panel, name, foreign[0])]
    wrong = [line for line in lines if _complains(line)]
    if not result.rc and not wrong:
        return []
    evidence = "; ".join(wrong[:3] or lines[-1:]) or "status %d without a word" % result.rc
    remedy = "export again; when it says the same, look into the panel's log"
    return [_inventory.finding("panel.native", panel, "file", name, "Plesk's own check refuses the backup", evidence, remedy)]


def _complains(line):
    return any(re.search(pattern, line) for pattern in _plesk_check.ERRORS) and not any(re.search(pattern, line) for pattern in _plesk_check.HARMLESS)


def _foreign(system, panel, where, evidence):
    title = "the signature is not this server's: it was made on another one, or was changed since"
    remedy = "find out which; a restore from another server's export has to be told to ignore the signature"
    return _inventory.finding("panel.export.signature", panel, "file", where, title, evidence, remedy, severity=_severity(system))


def _signed(system, found, opened, panel, name, told):
    out = []
    program = "%s/admin/sbin/backup_sign" % found["root"]
    signed = [path for path, result in sorted(told.scanned.items()) if result["signed"]]
    if not signed:
        title, evidence = "the backup is not signed", "no description in it has a signature"
        remedy = "pleskbackup signs what it writes to a file: find out who made this one"
        return [_inventory.finding("panel.export.signature", panel, "file", name, title, evidence, remedy, severity="warning")]
    for path in signed:
        where = "%s!%s" % (name, path)
        if path not in told.kept:
            evidence, remedy = "it is larger than %d MiB" % (_archives.MOST_KEPT >> 20), "nothing: pleskrestore --check-backup has read it"
            out.append(_inventory.finding("panel.unproven", panel, "file", where, "its signature was not checked by itself", evidence, remedy, severity="info"))
        elif system.exists(program):
            out += _description(system, found, opened, panel, where, told.kept[path], program)
    return out


def _description(system, found, opened, panel, where, raw, program):
    """The signature of one description, and what is in it against the schema."""
    source, verified = (os.path.join(opened.work(), word) for word in ("description.xml", "verified.xml"))
    write_atomic(source, raw, 0o600)
    try:
        result = system.run([program, "verify", source], timeout=600, check=False)
        if result.rc or not result.out.lstrip().startswith(b"<"):
            lines = _plesk_host.clean(result.error).splitlines()
            return [_foreign(system, panel, where, lines[-1] if lines else "backup_sign ended with status %d" % result.rc)]
        write_atomic(verified, result.out, 0o600)
        return _schema(system, found, panel, where, verified)
    finally:
        for path in (source, verified):
            if os.path.exists(path):
                os.unlink(path)


def _schema(system, found, panel, where, path):
    schema = "%s/PMM/plesk.xsd" % found["root"]
    if not system.which("xmllint") or not system.exists(schema):
        return []
    result = system.run(["xmllint", "--nonet", "--noout", "--schema", _plesk_host.place(system, schema), path], timeout=600, check=False)
    if not result.rc:
        return []
    # the rest of such a line shows values, and a value may be a password
    wrong = ["line %s, element %s: %s" % told for told in _SCHEMA_ERROR.findall(result.error)]
    evidence = "; ".join(wrong[:3]) or "xmllint ended with status %d" % result.rc
    remedy = "this is what Plesk calls no valid backup: repair the object that the line is of in the panel, and export again"
    return [_inventory.finding("panel.export.schema", panel, "file", where, "the description is not what Plesk's schema allows", evidence, remedy)]


@contextlib.contextmanager
def plain_backups(system, found, wanted):
    """Within it backups hold plain passwords when that is wanted; afterwards, and after an export that was killed, the preference is what it was."""
    mark = os.path.join(_plesk_host.place(system, system.options.get("directory") or _export.ROOT), MARK)
    left = read_if_exists(mark)
    if left:
        _set(system, found, left.decode("ascii", "replace").strip(), mark)
    before = _shown(system, found) if wanted else "true"
    if before == "true":
        yield
        return
    os.makedirs(os.path.dirname(mark), mode=0o700, exist_ok=True)
    write_atomic(mark, before.encode("ascii"), 0o600)
    try:
        system.run(_plesk_host.program(system, found, "server_pref") + ["--update", "-plain-backups", "true"], timeout=300)
        yield
    finally:
        _set(system, found, before, mark)


def _shown(system, found):
    result = system.run(_plesk_host.program(system, found, "server_pref") + ["--show"], timeout=300, check=False)
    told = _SHOWN.search(result.text)
    if not told:
        raise IntactError("plesk bin server_pref --show does not tell what plain-backups is: it was left alone, as it could not be put back")
    return told.group(1).lower()


def _set(system, found, value, mark):
    if value not in ("true", "false"):
        raise IntactError("%s is damaged: set plain-backups by hand (plesk bin server_pref --update -plain-backups false), and remove it" % mark, path=mark)
    result = system.run(_plesk_host.program(system, found, "server_pref") + ["--update", "-plain-backups", value], timeout=300, check=False)
    if result.rc:
        raise IntactError("plain-backups could not be put back to %s: backups of this server hold plain passwords until it is" % value, rc=result.rc)
    if os.path.exists(mark):
        os.unlink(mark)
