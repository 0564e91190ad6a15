# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A checkpoint: a panel's databases, configuration and services as they are now, on the disk and read back, before anything is changed.

DIRECTORY/checkpoint.json is written last: a checkpoint without it is none. Holds secrets: 0700.
"""

from __future__ import annotations

import hashlib
import io
import json
import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _live, _loading, _restore_services, _throwaway, mysql, postgresql, sqlite
from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import Program
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _scope, _server, _trees

SCHEMA = 1
SEAL = "checkpoint.json"
FILES = "files"
BLOCK = 1 << 20


def take(view, what, directory, inventory, server, drill=None, tell=lambda _line: None, accept_damaged=False):
    """Make the checkpoint and read it back. Returns its document.

    inventory: the panel's, or None where it could not be taken. drill: a directory that must not be there, for the server that the dumps are loaded into
    to read them back; None: they are not loaded.
    accept_damaged: a database of which only a part can be dumped is kept as far as that goes.
    """
    os.makedirs(os.path.join(directory, FILES), mode=0o700)
    document = {
        "schema": SCHEMA,
        "paths": what["paths"],
        "loose": what["loose"],
        "strict": what["strict"],
        "databases": [],
        "server": None,
        "inventory": inventory,
        "services": what["services"],
        "stop": what["stop"],
    }
    document["running"] = _restore_services.Services(stop={"": what["services"]}).running("") if view.which("systemctl") else []
    if _scope.on_mysql(what):
        document["server"] = server.identify()
        document["schemas"] = server.schemas()
        # an older server's tables may want an upgrade all the time: only what comes new is damage
        document["own_damaged"] = server.own_damaged()
        tell("accounts of the database server")
        document["accounts"] = dict(_keep(directory, "accounts.sql", *accounts(view, server)), tables=server.privileges())
        document["own"] = _keep(directory, _server.OWN + ".sql", *_blocks(Program(mysql.dump_argv(view, _server.OWN))))
    for name in what["databases"]:
        tell("database %s" % name)
        document["databases"].append(_database(view, name, directory, accept_damaged))
    tell("configuration")
    files = [name.partition(":")[2] for name in what["databases"] if _live.is_file(name)]
    document["without"] = [path + ending for path in files for ending in ("",) + _live.BESIDE]
    document["items"] = _trees.keep(view, what["paths"], os.path.join(directory, FILES), document["without"], _scope.theirs(what), tell)
    tell("reading the checkpoint back")
    _read_back(document, directory)
    if drill:
        _load(view, document, directory, drill)
    document["digest"] = _digest(document)
    write_document(os.path.join(directory, SEAL), document)
    return document


def read(directory):
    """The document of a whole checkpoint, its dumps as they were when it was sealed; raises when it is none."""
    path = os.path.join(directory, SEAL)
    if not os.path.exists(path):
        raise IntactError("%s holds no whole checkpoint" % directory)
    document = read_document(path)
    if document.get("schema") != SCHEMA or document.get("digest") != _digest(document):
        raise IntactError("the checkpoint %s is not what was written there" % directory)
    _read_back(document, directory)
    return document


def _digest(document):
    held = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(json.dumps(held, sort_keys=True, separators=(",", ":")).encode("utf-8", "backslashreplace")).hexdigest()


def _streams(document):
    return [entry for entry in [document.get("own"), document.get("accounts")] + document["databases"] if entry]


def accounts(view, server):
    """(blocks, end) of the rows that are accounts and rights, in an order that is the same each time."""
    argv = mysql.dump_argv(view, _server.OWN)
    argv = argv[: argv.index("--databases")] + ["--skip-routines", "--skip-events", "--skip-triggers", "--no-create-info", "--skip-add-locks"]
    return _blocks(Program(argv + ["--order-by-primary", "--skip-extended-insert", "--", _server.OWN] + server.privileges()))


def _blocks(program):
    """(blocks of a program's output, how its end is judged)."""

    def whole(tail):
        rc, said = program.wait(), program.said()
        program.close()
        if rc or not any(line.startswith(mysql.ENDING) for line in tail.split(b"\n")[-8:]):
            raise IntactError("the database server's dump failed: %s" % (said or "its last line is missing"))
        return True

    return iter(lambda: program.stdout.read(BLOCK), b""), whole


def _database(view, name, directory, accept_damaged):
    file = "database-%s" % hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    try:
        with (sqlite if _live.is_file(name) else _live.engine(name)).open(view, name) as dump:
            blocks = iter(lambda: dump.process.stdout.read(BLOCK), b"")
            kept = _keep(directory, file, blocks, lambda tail: dump.process.wait() == 0 and dump.complete(tail))
            items = dump.section()
            wrong = [item["error"] for item in items.values() if item.get("error") and item["kind"] != "view"]
            if wrong:
                raise IntactError(wrong[0])
            return dict(kept, name=name, items=items, rules=dump.rules, damaged="", owner=_owner(view, name))
    except IntactError as exc:
        if not accept_damaged or _live.is_file(name) or _live.engine(name) is not mysql:
            raise IntactError("%s could not be kept whole: %s" % (name, exc), database=name) from exc
        argv = mysql.dump_argv(view, mysql.schema(name))
        argv.insert(argv.index("--protocol=socket"), "--force")
        program = Program(argv)
        blocks = iter(lambda: program.stdout.read(BLOCK), b"")
        kept = _keep(directory, file, blocks, lambda tail: program.wait() in (0, 2) and any(x.startswith(mysql.ENDING) for x in tail.split(b"\n")[-8:]))
        program.close()
        return dict(kept, name=name, items={}, rules=[], damaged=str(exc))


def _owner(view, name):
    if not _live.is_file(name):
        return None
    state = view.lstat(sqlite.file_of(name))
    return {"uid": state.st_uid, "gid": state.st_gid, "mode": "%04o" % (state.st_mode & 0o7777)}


def _keep(directory, file, blocks, whole):
    """Write blocks durably; {file, bytes, sha256}."""
    digest, size, tail = hashlib.sha256(), 0, b""
    with os.fdopen(os.open(os.path.join(directory, file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        for block in blocks:
            handle.write(block)
            digest.update(block)
            size, tail = size + len(block), (tail + block)[-4096:]
        handle.flush()
        os.fsync(handle.fileno())
    if not whole(tail):
        raise IntactError("the dump is not whole")
    return {"file": file, "bytes": size, "sha256": digest.hexdigest()}


def _read_back(document, directory):
    """Every dump from the disk, not from memory."""
    for entry in _streams(document):
        digest = hashlib.sha256()
        with open(os.path.join(directory, entry["file"]), "rb", buffering=0) as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            block = handle.read(BLOCK)
            while block:
                digest.update(block)
                block = handle.read(BLOCK)
        if digest.hexdigest() != entry["sha256"]:
            raise IntactError("%s in the checkpoint %s reads otherwise than it was written: a failing disk?" % (entry["file"], directory))
    fsync_directory(directory)


def _load(view, document, directory, drill):
    """Load every dump into a private server and compare what it then holds: a dump that no server takes is no checkpoint."""
    for entry in document["databases"]:
        if entry["damaged"]:
            continue
        with _loading.MAKERS[_loading.engine(entry["name"]).partition("(")[0]](drill) as private, open(os.path.join(directory, entry["file"]), "rb") as stream:
            _owners(view, entry["name"], private)
            private.load(entry["name"], stream)
            now = private.section(entry["name"], entry["rules"])
        before = entry["items"]
        wrong = [f for f in _throwaway.compare(_loading.dumped(before, now), _loading.dumped(now, before)) if f.severity == "blocker"]
        if wrong:
            raise IntactError("%s: its dump, read back, differs: %s: %s" % (entry["name"], wrong[0].subject, wrong[0].title))


def _owners(view, name, private):
    """Let a private PostgreSQL know the host's roles: a dump gives its tables to them. The roles are in no checkpoint, and a restore does not touch them."""
    if _live.is_file(name) or _live.engine(name) is not postgresql:
        return
    for accounts in postgresql.accounts(view):
        if accounts.name == _loading.engine(name) + " accounts":
            private.load(accounts.name, io.BytesIO(accounts.text))
