# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An export on the disk: its directory, its document, and which exports may go."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils import _flight, _proofs
from ansible_collections.intact.hosting.plugins.module_utils._files import HALF, fsync_directory, read_document, read_if_exists, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._panels import _crypt, _inventory

ROOT = "/var/lib/intact/panel"
SCHEMA = 1
DOCUMENT, INVENTORY, LATER = "export.json", "inventory.json.gz", "inventory-later.json.gz"
MODES = ("settings", "full")
ROLES = ("artefact", "key", "inventory", "dump")
VERDICTS = ("proven", "unproven", "failed")
ID = re.compile(r"\d{8}t\d{6}z-(?:settings|full)\Z")
FAILED = ".failed"
# a value in quotes may have blanks in it, and its end may have been cut off
_VALUE = r"(\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|[^\s\"',;<]+)"
_NAMED = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|(?:api|private)[ _-]?key)s?(?:[ _-](?:key|hash))?"
_SECRET = re.compile(
    r"(%s[\"']?(?:\s+(?:for|of)\s+\S+)?\s*(?:=>|[=:]|\bis\b:?|\bset to\b)\s*|--[\w-]*%s\s+|<[\w:.-]*%s(?:\s[^<>]*)?>\s*"
    r"|\bIDENTIFIED\s+(?:(?:WITH|VIA)\s+\S+\s+)?(?:BY|AS|USING)\s+(?:PASSWORD\s+)?|\bAuthorization:\s*\w+\s+)%s" % (_NAMED, _NAMED, _NAMED, _VALUE),
    re.I,
)
# of a user's name, which may be empty, and what stands before the last @; a port is none
_LOGIN = re.compile(r"(://[^/\s:@]*):(?!\d+/)[^\s\"']{1,300}@")


@dataclass
class Work:
    """An export that is being made. target: where the driver writes, in the clear; path: what becomes the export."""

    panel: str
    ident: str
    mode: str
    path: str
    target: str
    lock: int

    def close(self):
        """Let the next export begin; what was not sealed is removed."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


def begin(panel, mode, root=ROOT, moment=None):
    """A Work with empty private directories. What a killed export left is removed; one that is running is an IntactError."""
    if mode not in MODES:
        raise ValueError("an export's mode is none of %s: %s" % (", ".join(MODES), mode))
    own = os.path.join(root, panel)
    for path in (root, own):
        os.makedirs(path, mode=0o700, exist_ok=True)
        os.chmod(path, 0o700)
    lock = os.open(os.path.join(own, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise IntactError("%s is being exported on this host already: wait until that has ended" % panel, panel=panel, busy=True) from None
    _crypt.sweep(own)
    for name in os.listdir(own):
        if name.startswith(HALF):
            os.unlink(os.path.join(own, name))
        elif name.startswith(".") and name.endswith(".part"):
            shutil.rmtree(os.path.join(own, name), ignore_errors=True)
    moment = moment or datetime.datetime.now(datetime.timezone.utc)
    while True:
        ident = "%s-%s" % (moment.strftime("%Y%m%dt%H%M%Sz"), mode)
        if not any(os.path.lexists(os.path.join(own, ident + ending)) for ending in ("", FAILED)):
            break
        moment += datetime.timedelta(seconds=1)
    path = os.path.join(own, ".%s.part" % ident)
    target = os.path.join(path, "work")
    for directory in (path, target):
        os.mkdir(directory, 0o700)
    return Work(panel, ident, mode, path, target, lock)


def store(work, made, inventory, facts, passphrase_file=None):
    """Put what the driver wrote, and the inventory, where the export keeps it, encrypted when there is a passphrase; write and return its document.

    made: what export() of the driver returned. A file that it wrote without naming it is an artefact too; one that it named and did not write is
    told by check(). facts: {version, met, host, host_id, seconds}.
    """
    roles = {entry["name"]: entry["role"] for entry in made["files"]}
    roles.update((name, "artefact") for name in _written(work.target) if name not in roles)
    entries = [_stored(work, name, role, passphrase_file) for name, role in sorted(roles.items())]
    entries.append(_described(work, INVENTORY, inventory, passphrase_file))
    shutil.rmtree(work.target)
    document = dict(facts, schema=SCHEMA, kind="panel:%s" % work.panel, panel=work.panel, mode=work.mode, made=_flight.now(), id=work.ident)
    document.update(files=entries, objects=_inventory.counts(inventory), inventory=_inventory.digest(inventory), taken=inventory["taken"])
    document.update(rc=made.get("rc", 0), said=redacted(made.get("said") or [])[-50:], verdict="unproven", findings=[], native=False, scratch=False)
    return write(work.path, dict(document, later=""))


def add_later(work, document, inventory, passphrase_file=None):
    """The document with a second inventory, taken after the export: what a customer changed in between is no fault of the export."""
    os.mkdir(work.target, 0o700)
    entry = _described(work, LATER, inventory, passphrase_file)
    os.rmdir(work.target)
    return write(work.path, dict(document, files=document["files"] + [entry], later=_inventory.digest(inventory)))


def _described(work, name, inventory, passphrase_file):
    write_document(os.path.join(work.target, name), inventory)
    return _stored(work, name, "inventory", passphrase_file)


def write(path, document):
    """Write an export's document with its digest, and return it."""
    document = dict(document, digest=_proofs.digest(document))
    write_document(os.path.join(path, DOCUMENT), document)
    return document


def seal(work, document):
    """The last step, after the verification: the export gets its name, which says whether it failed. Returns its path."""
    document = write(work.path, document)
    own = os.path.dirname(work.path)
    failed = document["verdict"] == "failed"
    for path, _names, _files in os.walk(work.path):
        fsync_directory(path)
    final = os.path.join(own, work.ident + (FAILED if failed else ""))
    os.rename(work.path, final)
    fsync_directory(own)
    for name in sorted(os.listdir(own)) if failed else []:
        if name.endswith(FAILED) and os.path.join(own, name) != final:
            shutil.rmtree(os.path.join(own, name), ignore_errors=True)
    return final


def _written(directory):
    """Relative names of all files below a directory. What is neither file nor directory has no business in an export."""
    out = []
    for path, directories, files in os.walk(directory):
        for name in sorted(directories + files):
            full = os.path.join(path, name)
            mode = os.lstat(full).st_mode
            if stat.S_ISREG(mode):
                out.append(os.path.relpath(full, directory))
            elif not stat.S_ISDIR(mode):
                raise IntactError("%s in the export is neither a file nor a directory: it was not taken" % os.path.relpath(full, directory))
    return out


def _stored(work, name, role, passphrase_file):
    plain = os.path.join(work.target, name)
    entry = {"name": name, "role": role, "bytes": None, "sha256": None, "stored": None}
    if not safe(name) or role not in ROLES:
        raise ValueError("a driver names a file %r with the role %r" % (name, role))
    if not os.path.lexists(plain):
        return entry
    entry["bytes"], entry["sha256"] = _crypt.fingerprint(plain)
    kept = name + (_crypt.ENDING if passphrase_file else "")
    final = os.path.join(work.path, kept)
    os.makedirs(os.path.dirname(final), mode=0o700, exist_ok=True)
    if passphrase_file:
        _crypt.encrypt(plain, final, passphrase_file)
        size, digest = _crypt.fingerprint(final)
        os.unlink(plain)  # now, so that not all of an export lies there twice
    else:
        os.chmod(plain, 0o600)
        os.chown(plain, os.geteuid(), os.getegid())
        with open(plain, "rb") as handle:
            os.fsync(handle.fileno())
        os.rename(plain, final)
        size, digest = entry["bytes"], entry["sha256"]
    entry["stored"] = {"name": kept, "bytes": size, "sha256": digest}
    return entry


def safe(name):
    """Whether a name in a document is one below the export's directory, and not the document itself."""
    return bool(name) and not name.startswith("/") and ".." not in name.split("/") and name != DOCUMENT


def read(directory, view=None):
    """An export's document, or IntactError when there is none that this version reads, or when it was changed after it was made."""
    path = os.path.join(directory, DOCUMENT)
    try:
        document = json.loads(view.read(path) or b"") if view else read_document(path)
    except (OSError, ValueError, EOFError) as exc:
        raise IntactError("%s can't be read (%s): this is no export, or its document is damaged" % (path, exc), path=path) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not isinstance(document.get("files"), list):
        raise IntactError("%s is no export's document that this version reads (schema %s)" % (path, SCHEMA), path=path)
    if document.get("digest") != _proofs.digest(document):
        raise IntactError("%s was changed after it was made: take another export" % path, path=path)
    return document


def check(directory, document):
    """Findings of the stored files: gone, cut short, changed, or more than the document names. Reads each to its end."""
    panel, found, known = document["panel"], [], {DOCUMENT}
    for entry in document["files"]:
        stored = entry["stored"]
        if not stored:
            title, remedy = "the panel said that it wrote this file, and it is not there", "look at what the panel said, and export again"
            evidence = "no such file in the export" + "".join("; the panel's last words: %s" % line for line in (document.get("said") or [])[-1:])
            found.append(_inventory.finding("panel.export.failed", panel, "file", entry["name"], title, evidence, remedy))
            continue
        known.add(stored["name"])
        path = os.path.join(directory, stored["name"])
        if not safe(stored["name"]) or not os.path.isfile(path) or os.path.islink(path):
            title = "a file of the export is gone"
            found.append(_damaged("member", panel, stored["name"], title, "%s is not there" % path))
            continue
        try:
            size, digest = _crypt.fingerprint(path)
        except OSError as exc:
            found.append(_damaged("corrupt", panel, stored["name"], "a file of the export can't be read", "%s: %s" % (path, exc.strerror)))
            continue
        if size < stored["bytes"]:
            evidence = "%d of %d bytes are there" % (size, stored["bytes"])
            found.append(_damaged("truncated", panel, stored["name"], "a file of the export is cut short", evidence))
        elif digest != stored["sha256"]:
            evidence = "sha256 %s..., it was %s..." % (digest[:16], stored["sha256"][:16])
            found.append(_damaged("corrupt", panel, stored["name"], "a file of the export is not what was written", evidence))
    for name in sorted(set(_written(directory)) - known):
        title, remedy = "a file is in the export that its document does not name", "find out who put it there"
        found.append(_inventory.finding("panel.export.member", panel, "file", name, title, directory, remedy, severity="warning"))
    return found


def _damaged(what, panel, name, title, evidence):
    remedy = "don't restore from this export: take an older proven one or another copy of it, and look at the disk"
    return _inventory.finding("panel.export.%s" % what, panel, "file", name, title, evidence, remedy)


@dataclass
class Held:
    """An export that is on the disk. document: None when it can't be read, why then says so."""

    path: str
    panel: str
    ident: str
    document: dict
    why: str = ""

    @property
    def verdict(self):
        return self.document["verdict"] if self.document else "failed"


def held(root=ROOT, panel=None, view=None):
    """[Held] of the exports below root, newest first; failed ones are not among them. view: a System, for one that is not this host."""
    listdir = view.listdir if view else lambda path: sorted(os.listdir(path)) if os.path.isdir(path) else []
    out = []
    for name in [panel] if panel else [n for n in listdir(root) if not n.startswith(".")]:
        for ident in listdir(os.path.join(root, name)):
            if ID.match(ident):
                path = os.path.join(root, name, ident)
                try:
                    document = read(path, view)
                except IntactError as exc:
                    out.append(Held(path, name, ident, None, str(exc)))
                else:
                    out.append(Held(path, name, ident, document))
    return sorted(out, key=lambda entry: (entry.ident, entry.panel), reverse=True)


def age(document, now):
    """Hours since the inventory of an export was taken: what it says is from then."""
    return (now - parse_time(document["taken"])).total_seconds() / 3600


def redacted(lines):
    """What a panel said, without what looks like a password in it."""
    return [_LOGIN.sub(r"\1:***@", _SECRET.sub(_hidden, str(line))) for line in lines]


def _hidden(found):
    quote = found.group(2)[:1] if found.group(2)[:1] in ("'", '"') else ""
    return found.group(1) + quote + "***" + quote


def machine():
    """This host's machine-id, "" without one."""
    return (read_if_exists("/etc/machine-id") or b"").decode("ascii", "replace").strip()
