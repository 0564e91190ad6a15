# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An export without the panel: inventory, key and settings from a disk, or from one of the panel's own dumps, read by the same verification as any other."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zlib

from ansible_collections.intact.hosting.plugins.module_utils._backup import _throwaway_mysql
from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql_options
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _asking, _crypt, _dumped, _export, _inventory, _run, _state, _verify

MODE = "settings"
SCRATCH = "/var/lib/intact-drills"


def view_of(root, allow_live=False):
    """A view of a disk's root, which names owners as that disk does."""
    root = os.path.realpath(root)
    if not os.path.isdir(root + "/etc"):
        raise IntactError("%s is no root of a server: there is no etc in it" % root, path=root)
    if os.path.samefile(root, "/") and not allow_live:
        raise IntactError("%s is this running host: export its panel (panel_export) instead" % root, path=root)
    names = []
    for file in ("passwd", "group"):
        told = (line.split(":") for line in Rooted(root).text("/etc/" + file).splitlines())
        names.append({words[2]: words[0] for words in told if len(words) > 2})
    return Rooted(root, owners=names[0], groups=names[1])


def writable(root):
    """Whether a filesystem is mounted so that a mistake could write to it."""
    return not os.statvfs(root).f_flag & os.ST_RDONLY


def _place(scratch, what):
    """A directory of this process; what killed ones left is removed: copies of whole databases would fill the disk."""
    _crypt.sweep(scratch, r"(?:rescue|dump)-(\d+)\Z")
    place = os.path.join(scratch, "%s-%d" % (what, os.getpid()))
    shutil.rmtree(place, ignore_errors=True)  # a killed one may have had our number
    return place


def from_disk(driver, root, settings, scratch=SCRATCH, how="auto", tell=lambda _line: None):
    """A _run.Outcome: an export made from a disk's root."""
    view = view_of(root)
    found = driver.detect(view)
    if not found:
        raise IntactError("there is no %s on %s" % (driver.TITLE, root), panel=driver.NAME, path=root)
    place = _place(scratch, "rescue")
    with _asking.Disk(view, place, how, tell) as query:
        origin = {"kind": "disk", "root": view.root.decode("utf-8", "backslashreplace"), "state": state_of(view)}
        outcome = _made(driver, view, found, query, settings, origin, tell)
    if writable(root):
        evidence, remedy = "%s is mounted for writing; nothing was written to it by us" % root, "mount it read-only: mount -o remount,ro"
        title = "the disk could be written to"
        outcome.findings.append(_inventory.finding("panel.rescue.writable", driver.NAME, "disk", root, title, evidence, remedy, "warning"))
    return outcome


def state_of(view):
    """What tells a disk from any other, and from itself at another time; "" where it may be written to, and so may change at any time."""
    root = os.fsdecode(view.root)
    if writable(root):
        return ""
    digest = hashlib.sha256(repr((os.statvfs(root).f_fsid, view.text("/etc/machine-id"), view.text("/etc/hostname"))).encode())
    data = _mysql_options.locate(view)
    for folder, folders, names, at in os.fwalk(view.place(data["datadir"])) if data else ():
        folders.sort()
        for name in sorted(names):
            status = os.stat(name, dir_fd=at, follow_symlinks=False)
            digest.update(repr((folder, name, status.st_size, status.st_mtime_ns)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def kept(driver, root, settings):
    """The proven, undamaged export (_export.Held) that was rescued from this very disk before, or None."""
    state = state_of(view_of(root))
    for held in _export.held(settings.root, driver.NAME) if state else ():
        if held.verdict != "proven" or (held.document.get("rescued") or {}).get("state") != state:
            continue
        encrypted = all(entry["stored"] and entry["stored"]["name"].endswith(_crypt.ENDING) for entry in held.document["files"])
        if encrypted == bool(settings.passphrase_file) and not any(f.severity == "blocker" for f in _export.check(held.path, held.document)):
            return held
    return None


def from_dump(driver, view, found, path, settings, scratch=SCRATCH, tell=lambda _line: None):
    """A _run.Outcome: an export made from one of the panel's own dumps, loaded into a private server; keys and files are those of the host as it is."""
    os.makedirs(scratch, mode=0o711, exist_ok=True)
    place = _place(scratch, "dump")
    with _throwaway_mysql.MariaDB(place) as server:
        try:
            with _dumped.opened(view, path) as stream:
                refused = server.load("the dump %s" % path, stream)
        except (EOFError, OSError, zlib.error) as exc:
            raise IntactError("%s is damaged: %s" % (path, exc), path=path) from exc
        if refused:
            raise IntactError("%s: a database server refuses it: %s" % (path, refused[0]), path=path)
        query = _asking.of(server.system())
        return _made(driver, view, found, query, settings, {"kind": "daily", "path": path}, tell)


def from_daily(driver, view, found, path, settings, scratch=SCRATCH, tell=lambda _line: None):
    """A _run.Outcome: an export made from what the panel's own schedule left at path, archives of accounts or a dump of its database."""
    if hasattr(driver, "take"):
        return _taken(driver, view, found, path, settings, tell)
    return from_dump(driver, view, found, path, settings, scratch, tell)


def _taken(driver, view, found, path, settings, tell):
    if settings.passphrase_file:
        _crypt.check(settings.passphrase_file, making=True)
    outcome, (host, host_id) = _run.Outcome(driver.NAME), _state.host_of(view)
    with _export.begin(driver.NAME, MODE, settings.root) as work:
        began = time.monotonic()
        made = driver.take(view, found, path, work.target, tell)
        if not made["files"]:
            raise IntactError("%s holds no archive" % path, path=path)
        # what there was is told by nothing but the archives: their own inventory is what they are held against from now on
        files = [dict(entry, stored={"name": entry["name"]}) for entry in made["files"]]
        with _verify.Opened(work.target, document={"panel": driver.NAME, "files": files, "mode": MODE, "said": []}) as opened:
            inventory = driver.packed(opened, found, host)
        facts = {"version": found.get("version", ""), "met": driver.MET, "host": host, "host_id": host_id, "seconds": round(time.monotonic() - began, 1)}
        facts["rescued"] = {"kind": "daily", "path": path}
        document = _export.store(work, made, inventory, facts, settings.passphrase_file)
        _judged(driver, work, document, outcome, settings, [_lacking(driver.NAME, user) for user in made["lacks"]])
    return outcome


def _lacking(panel, user):
    title, remedy = "the panel's own backup has no archive of this account", "take another source for it, or bring it back by itself"
    return _inventory.finding("panel.source.lacks", panel, "customer", user, title, "the host has it", remedy, "warning")


def _judged(driver, work, document, outcome, settings, more):
    """Read back what was stored, and give it its name."""
    with _verify.Opened(work.path, settings.passphrase_file, document) as opened:
        findings, _verdict = _verify.judge(driver, opened)
    outcome.findings = findings + more
    outcome.document = dict(document, verdict=_verify.verdict(outcome.findings), findings=[finding.as_dict() for finding in outcome.findings])
    outcome.made, outcome.path = True, _export.seal(work, outcome.document)


def _made(driver, view, found, query, settings, origin, tell):
    if not hasattr(driver, "rescue"):
        raise IntactError("the driver %s can't rescue anything: take one of its exports" % driver.NAME, panel=driver.NAME)
    if settings.passphrase_file:
        _crypt.check(settings.passphrase_file, making=True)
    outcome = _run.Outcome(driver.NAME)
    host, host_id = _state.host_of(view) if origin["kind"] == "daily" else (view.text("/etc/hostname").strip(), view.text("/etc/machine-id").strip())
    with _export.begin(driver.NAME, MODE, settings.root) as work:
        began = time.monotonic()
        tell("%s: taking the inventory" % driver.TITLE)
        inventory = driver.inventory(view, found, query)
        tell("%s: taking the settings" % driver.TITLE)
        made = driver.rescue(view, found, query, work.target)
        told = list(getattr(query, "said", []))
        made["said"] = told + list(made.get("said") or [])
        facts = {"version": found.get("version", ""), "met": driver.MET, "host": host, "host_id": host_id, "seconds": round(time.monotonic() - began, 1)}
        facts["rescued"] = origin
        document = _export.store(work, made, inventory, facts, settings.passphrase_file)
        tell("reading the export back")
        _judged(driver, work, document, outcome, settings, [_partial(driver.NAME, line) for line in told])
    return outcome


def _partial(panel, sentence):
    remedy = "compare what was rescued with what you know of that server"
    return _inventory.finding("panel.rescue.cold", panel, "disk", "", "how its database was opened", sentence, remedy, "warning")


def plan(driver, root):
    """What a rescue would do, without doing it: {panel, version, host, datadir, bytes, programs}."""
    view = view_of(root)
    found = driver.detect(view)
    if not found:
        raise IntactError("there is no %s on %s" % (driver.TITLE, root), panel=driver.NAME, path=root)
    data = _mysql_options.locate(view)
    out = {"panel": driver.NAME, "version": found.get("version", ""), "host": view.text("/etc/hostname").strip(), "datadir": "", "bytes": 0, "programs": []}
    if data:
        out.update(datadir=data["datadir"], bytes=_mysql_options.size(view.place(data["datadir"])), programs=data["programs"])
    return out
