# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""One run: a disk's data directory opened cold, everything dumped into a directory, and the document that the next phase works from."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._cold import (
    _dumped,
    _mysql,
    _mysql_copies,
    _mysql_dump,
    _mysql_options,
    _postgresql,
    _postgresql_dump,
)
from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

KINDS = (_mysql_dump.KIND, _postgresql_dump.KIND)
SCRATCH = "/var/lib/intact-drills"
VERSION = 1


@dataclass
class Settings:
    """root: the disk's /. dest: where the dumps go. directory: where copies and overlays are made. token: of the disk, kept in the document."""

    root: str
    kind: str
    dest: str
    datadir: str = ""
    directory: str = SCRATCH
    how: str = "auto"
    databases: list = field(default_factory=list)
    dangerous: list = field(default_factory=list)
    token: str = ""
    force: bool = False


def view_of(root):
    """A Rooted on a disk's /; refuses this host's own."""
    root = os.path.realpath(root)
    if not os.path.isdir(root):
        raise IntactError("%s is no directory: mount the old disk first (legacy_volume)" % root, path=root)
    if os.path.samefile(root, "/"):
        raise IntactError("%s is this running host: its databases are not cold" % root, path=root)
    return Rooted(root)


def located(settings):
    """What there is of this kind: {datadir, bytes, programs, ...}, or an IntactError that says what was looked for."""
    view = view_of(settings.root)
    look = _mysql_options.locate if settings.kind == _mysql_dump.KIND else _postgresql.locate
    found = look(view, settings.datadir)
    if not found:
        raise IntactError(
            "%s has no data of a %s server%s: give its datadir"
            % (settings.root, settings.kind, " at " + settings.datadir if settings.datadir else " where it could be looked for"),
            path=settings.root,
        )
    return view, found


def plan(settings):
    """What a run would open, without opening it: {datadir, bytes, free, how, program, version}."""
    view, found = located(settings)
    needed = _mysql_options.size(view.place(found["datadir"])) + sum(_mysql_options.size(view.place(p)) for p in found.get("places", {}).values())
    free = _free(settings.directory)
    roomy = needed * _mysql_copies.SPARE < free and needed < _mysql_copies.LARGEST_COPY
    if settings.kind == _mysql_dump.KIND:
        own = found["programs"][:1]
        host = which("mariadbd") or which("mysqld")
        program = own[0] if own and (settings.how == "disk" or not host) else host or ""
    else:
        program, own = _postgresql.program(view, found, settings.how)
    return {
        "datadir": found["datadir"],
        "bytes": needed,
        "free": free,
        "free_dest": _free(settings.dest),
        "how": settings.how if settings.how != "auto" else "copy" if roomy else "overlay",
        "program": program,
        "version": found.get("version", ""),
    }


def _free(path):
    while not os.path.exists(path):
        path = os.path.dirname(path)
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize


def state_of(settings):
    """What tells the data directory from itself at another time; "" where it may be written to, and so may change at any time."""
    view, found = located(settings)
    data = view.place(found["datadir"])
    if not os.statvfs(data).f_flag & os.ST_RDONLY:
        return ""
    digest = hashlib.sha256(repr((settings.token, settings.kind, sorted(settings.databases), found["datadir"])).encode())
    for folder, folders, names, at in os.fwalk(data):
        folders.sort()
        for name in sorted(names):
            state = os.stat(name, dir_fd=at, follow_symlinks=False)
            digest.update(repr((folder[len(data) :], name, state.st_size, state.st_mtime_ns)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def kept(settings):
    """The document of an earlier run over this very state, all of whose files are as it left them; or None."""
    document = read(settings.dest)
    state = state_of(settings) if document else ""
    if not state or document.get("state") != state or not suits(settings, document) or intact(settings.dest, document):
        return None
    return document


def _asked(settings):
    return {"databases": sorted(settings.databases), "dangerous": sorted(settings.dangerous)}


def suits(settings, document):
    """Whether a dump is what is asked for now: of these databases, and where it is not whole, not one that was tried with fewer words."""
    asked, now = document.get("asked") or {}, _asked(settings)
    return asked.get("databases") == now["databases"] and (document.get("verdict") == "proven" or asked.get("dangerous") == now["dangerous"])


def read(dest):
    """The document in a directory of dumps, or None."""
    try:
        return read_document(os.path.join(dest, _dumped.DOCUMENT))
    except (OSError, ValueError):
        return None


def intact(dest, document):
    """Sentences about files of a dump that are not as its document says; [] when all are."""
    out = []
    for name, entry in sorted(document["files"].items()):
        try:
            seen = _hashed(os.path.join(dest, name))
        except OSError as exc:
            out.append("%s: %s" % (name, exc.strerror))
            continue
        if seen != entry["sha256"]:
            out.append("%s is not what was written" % name)
    return out


def _hashed(path):
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def take(settings, tell=lambda _line: None):
    """Dump everything; the document."""
    view, found = located(settings)
    state, began = state_of(settings), time.time()
    place = _place(settings.directory)
    _clear(settings.dest)
    files, identity = _dumped.Files(settings.dest), secrets.token_hex(16)
    try:
        if settings.kind == _mysql_dump.KIND:
            with _mysql.Cold(view, found, place, settings.how, tell, settings.dangerous, _mysql_dump.OPTIONS) as server:
                server.prove()
                taking = _mysql_dump.Taking(server, files, identity, settings.databases, tell)
                taking.all()
                said = list(server.said)
        else:
            with _postgresql.Cold(view, found, place, settings.how, tell) as server:
                taking = _postgresql_dump.Taking(server, files, identity, settings.databases, tell)
                taking.all()
                said = list(server.said)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    document = {
        "format": VERSION,
        "kind": settings.kind,
        "version": taking.version,
        "root": escape(settings.root),
        "datadir": escape(found["datadir"]),
        "token": settings.token,
        "state": state,
        "asked": _asked(settings),
        "identity": identity,
        "taken": int(began),
        "databases": _escaped(taking.databases),
        "accounts": taking.accounts,
        "account_items": taking.account_items,
        "reset": sorted(taking.reset),
        "events": [escape(name) for name in getattr(taking, "events", [])],
        "said": [escape(line) for line in said],
        "findings": [finding.as_dict() for finding in taking.findings],
    }
    document["verdict"] = "damaged" if any(finding.severity == "blocker" for finding in taking.findings) else "proven"
    document["files"] = {}
    for folder, _folders, names in os.walk(settings.dest):
        for name in names:
            path = os.path.join(folder, name)
            document["files"][os.path.relpath(path, settings.dest)] = {"sha256": _hashed(path), "size": os.stat(path).st_size}
    write_document(os.path.join(settings.dest, _dumped.DOCUMENT), document, 0o600)
    return document


def _escaped(databases):
    out = {}
    for name, kept_ in databases.items():
        tables = {escape(table): dict(entry) for table, entry in kept_["tables"].items()}
        out[escape(name)] = dict(kept_, tables=tables, views=[escape(view) for view in kept_.get("views", [])])
    return out


def _place(directory):
    """A directory's name for this process; what killed ones left is removed."""
    os.makedirs(directory, mode=0o711, exist_ok=True)
    for name in os.listdir(directory):
        match = re.match(r"cold-(\d+)\Z", name)
        if match and not os.path.exists("/proc/" + match.group(1)):
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
    place = os.path.join(directory, "cold-%d" % os.getpid())
    shutil.rmtree(place, ignore_errors=True)
    return place


def _clear(dest):
    """Away with an earlier dump of ours; anything else at that place is refused."""
    if not os.path.lexists(dest):
        return
    names = os.listdir(dest)
    if not names:
        return
    if os.path.islink(dest) or not (os.path.isfile(os.path.join(dest, _dumped.DOCUMENT)) or os.path.isfile(os.path.join(dest, _dumped.MARK))):
        raise IntactError("%s is not empty and holds no dump of ours: give another dest" % dest, path=dest)
    shutil.rmtree(dest)


def shown(document):
    """What a result may hold of a document: no item, no file, no secret."""
    databases = {}
    for name, entry in document["databases"].items():
        tables = {}
        for table, told in entry["tables"].items():
            tables[table] = {"rows": told["rows"], "digest": told["digest"], "damaged": told["damaged"]}
            if told.get("repaired"):
                tables[table]["repaired"] = told["repaired"]
        databases[name] = {"tables": tables}
    damaged = ["%s.%s" % (name, table) for name, entry in databases.items() for table, told in entry["tables"].items() if told["damaged"]]
    return {
        "databases": databases,
        "accounts": document["accounts"],
        "reset": document["reset"],
        "damaged": sorted(damaged),
        "said": document["said"],
        "findings": document["findings"],
        "version": document["version"],
        "verdict": document["verdict"],
    }
