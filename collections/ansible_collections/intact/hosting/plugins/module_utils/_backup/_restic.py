# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The only file that runs restic. Versions 0.11 (Debian 11) to 0.18 (Debian 13) are told apart here and nowhere else."""

from __future__ import annotations

import glob
import json
import os
import re
import socket
import subprocess
import time
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._backup import _listing, _locks, _outcome, _process, _secrets, _ssh, _watch
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

OLDEST = (0, 11, 0)
SINCE = {
    "files-from-raw": (0, 12, 0),
    "clean-interrupt": (0, 12, 0),
    "find-missing-pack": (0, 12, 0),
    "init-repository-file": (0, 12, 0),
    "sparse": (0, 15, 0),
    "rest-environment": (0, 16, 1),
    "exit-codes": (0, 17, 0),
    "check-json": (0, 18, 0),
}
# Refuses a name with a directory for its standard input (restic#5324); it is Debian 13's.
FLAT_STDIN = (0, 18, 0)
CACHE = "/var/cache/intact/restic"


def parse_version(text):
    """(0, 14, 0) from what `restic version` says. Pure."""
    found = re.search(r"restic (\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise IntactError("%r is not what restic says of its version: give the path of a restic in backup's key program" % text[:100])
    return tuple(int(part or 0) for part in found.groups())


class Restic:
    """One repository, and the program that speaks with it.

    repository: an entry of the job. limits: the job's (nice, upload_kib, download_kib). patience: see _process.Call.
    """

    def __init__(self, repository, program="restic", limits=None, cache=CACHE, patience=180.0):
        self.repository, self.name, self.program = repository, repository["name"], program
        self.limits, self.cache, self.patience = dict(limits or {}), cache, patience
        self._version = None

    @property
    def version(self):
        """The program's version. Raises IntactError when it is not installed or too old."""
        if self._version is None:
            self._version = parse_version(_command.run([self.program, "version"], timeout=30).text)
            if self._version < OLDEST:
                raise IntactError("restic %s is too old: 0.11 is the oldest that is known to work" % ".".join(map(str, self._version)))
        return self._version

    def has(self, feature):
        """Whether this version can do it."""
        return self.version >= SINCE[feature]

    def _start(self, arguments, memories=(), **more):
        # What belongs to the caller's own restic must not leak in: the environment is made from nothing.
        values, url, self._secrets = _secrets.environment(self.repository, self.has("rest-environment"))
        place = _process.Memory(url.encode("utf-8", "surrogateescape"))
        environment = {key: os.environ[key] for key in ("PATH", "TMPDIR", "SSL_CERT_FILE") if key in os.environ}
        environment.update(
            HOME="/root" if os.geteuid() == 0 else os.path.expanduser("~"), LC_ALL="C.UTF-8", RESTIC_CACHE_DIR=self.cache, RESTIC_PROGRESS_FPS="0.5"
        )
        environment.update(values)
        if arguments[0] == "init" and not self.has("init-repository-file"):
            # Its init alone does not look at that variable. The address is still in no argument: an environment is its owner's to read.
            environment["RESTIC_REPOSITORY"] = url
        else:
            environment["RESTIC_REPOSITORY_FILE"] = place.name
        os.makedirs(self.cache, mode=0o700, exist_ok=True)
        argv = [_command.which(self.program) or self.program]
        argv += ["--cacert", self.repository["ca_file"]] if self.repository.get("ca_file") else []
        if url.startswith("sftp:"):
            command = _ssh.command(url, self.repository.get("identity_file", ""), self.repository.get("known_hosts_file", ""))
            argv += ["-o", "sftp.command=" + command]
        argv += [part for option in self.repository.get("options") or [] for part in ("-o", option)]
        for key, flag in (("upload_kib", "--limit-upload"), ("download_kib", "--limit-download")):
            argv += [flag, str(self.limits[key])] if self.limits.get(key) else []
        # An old restic that is asked to end in the middle of a backup may write a snapshot of nothing (restic#3151): it is killed.
        more["gentle"] = arguments[0] != "backup" or self.has("clean-interrupt")
        return _process.Call(argv + list(arguments), environment, [place, *memories], patience=self.patience, nice=self.limits.get("nice", 0), **more)

    def _end(self, call, watch=None, lines=()):
        rc = call.wait()
        out, summary = (watch.rest, watch.summary) if watch else (b"".join(lines), {})
        heard = call.said.decode("utf-8", "surrogateescape")
        # Judged before secrets are taken out: a password may be a word of what restic says.
        text = heard + "\n" + out[-20000:].decode("utf-8", "surrogateescape") if rc else heard
        said = _secrets.redact(heard, self._secrets)
        outcome = _outcome.Outcome(_outcome.classify(rc, text, call.stopped), rc, said, summary, seconds=call.seconds, out=out)
        # Versions before 0.17 tell the beginning of it.
        outcome.snapshot = self.full_id("snapshot", outcome.summary["snapshot_id"]) if outcome.summary.get("snapshot_id") else ""
        return outcome

    def run(self, arguments, line=None, memories=()):
        """Run one subcommand to its end; out holds what it printed, unless line takes it."""
        lines = []
        call = self._start(arguments, memories, line=line or lines.append)
        return self._end(call, lines=lines)

    def asked(self, arguments, doing):
        """What a subcommand printed. Raises ResticError when it did not end well."""
        outcome = self.run(arguments)
        if not outcome.ok:
            raise _outcome.ResticError(outcome, self.name, doing)
        return outcome.out

    def init(self):
        """Make the repository."""
        return self.run(["init"])

    def identity(self):
        """The repository's own id: two addresses of one repository have the same. Also the shortest proof that it opens."""
        return json.loads(self.asked(["cat", "config", "--no-lock"], "opening it"))["id"]

    def backup(self, paths, tags=(), host="", excludes=b"", parent="", progress=None, stall=_watch.STALL):
        """Back up paths (bytes) into one snapshot. excludes: the bytes of an exclude file. progress: called with a dict at most every 2 s.

        A source that is missing or unreadable makes the outcome partial, with its name: restic 0.14 ends with 0 where one is missing.
        """
        names, memories = self._names(paths), []
        arguments = ["backup", "--json"] + names.pop("arguments") + self._tags(tags, host)
        memories.append(_process.Memory(names["data"]))
        arguments += [names["flag"], memories[0].name]
        if excludes:
            memories.append(_process.Memory(excludes))
            arguments += ["--exclude-file", memories[1].name]
        watch = _watch.Watch(progress, stall)
        call = self._start(arguments + (["--parent", parent] if parent else []), memories, line=watch.line)
        watch.call = call
        return self._judged(self._end(call, watch), {path: "does not exist" for path in paths if not os.path.lexists(path)})

    def _judged(self, outcome, missing=None):
        wrong = {_listing.find_exact(name): why for name, why in _outcome.errors(outcome.said)}
        wrong.update(missing or {})
        outcome.unreadable = sorted(wrong.items())
        if wrong and outcome.kind == "ok":
            outcome.kind = "partial"
        if outcome.ok and not outcome.snapshot:
            outcome.kind, outcome.said = "failed", outcome.said + "\nrestic told of no snapshot"
        return outcome

    def full_id(self, kind, name):
        """The whole id of a pack, index, snapshot or key of which a message told the beginning; what was told when it can't be found."""
        if len(name) == 64 or kind not in ("pack", "index", "snapshot", "key"):
            return name
        # What restic has just saved is in its cache, where looking costs nothing; opening the repository takes half a second or more.
        cached = glob.glob(os.path.join(glob.escape(self.cache), "*", "snapshots", name[:2], name + "*")) if kind == "snapshot" else []
        if len(cached) == 1:
            return os.path.basename(cached[0])
        listed = self.run(["list", {"pack": "packs", "index": "index", "snapshot": "snapshots", "key": "keys"}[kind], "--no-lock", "--quiet"])
        same = [full for full in listed.out.decode("ascii", "replace").split() if full.startswith(name)]
        if kind == "pack" and not same:
            # A pack that is gone is known to the index alone.
            same = [full for full in self.indexed() if full.startswith(name)]
        return same[0] if len(same) == 1 else name

    def indexed(self):
        """{pack id: [{id, type}] of its blobs} as far as the index files that can be read tell."""
        found = {}
        for name in self.run(["list", "index", "--no-lock", "--quiet"]).out.decode("ascii", "replace").split():
            outcome = self.run(["cat", "index", name, "--no-lock", "--quiet"])
            for pack in json.loads(outcome.out).get("packs") or [] if outcome.ok else []:
                found[pack["id"]] = [{"id": blob["id"], "type": blob["type"]} for blob in pack["blobs"]]
        return found

    def _names(self, paths):
        if not paths:
            raise IntactError("repository %s: nothing to back up was named" % self.name)
        if self.has("files-from-raw"):
            return {"flag": "--files-from-raw", "data": b"".join(path + b"\0" for path in paths), "arguments": []}
        # 0.11 reads patterns, line by line; what can't be a line is an argument.
        lines = {path: _listing.globless(path) for path in paths}
        return {
            "flag": "--files-from",
            "data": b"".join(line + b"\n" for line in lines.values() if line is not None),
            "arguments": [os.fsdecode(path) for path, line in lines.items() if line is None],
        }

    @staticmethod
    def _tags(tags, host):
        return [part for tag in tags for part in ("--tag", tag)] + (["--host", host] if host else [])

    def stdin(self, name, tags=(), host="", progress=None):
        """A restic that waits for a stream, to become the file name (text, absolute) of a snapshot. See Stream."""
        if self.version == FLAT_STDIN:
            # Readers (_snapshots.stream_snapshot) know both ways.
            name = "/" + urllib.parse.quote(name.strip("/"), safe="")
        watch = _watch.Watch(progress, 0)
        call = self._start(["backup", "--json", "--stdin", "--stdin-filename", name] + self._tags(tags, host), stdin=subprocess.PIPE, line=watch.line)
        return Stream(self, call, watch, name)

    def snapshots(self, tags=(), host=""):
        """Snapshots that have all of these tags, as restic tells them, the oldest first."""
        arguments = ["snapshots", "--json"] + (["--tag", ",".join(tags)] if tags else []) + (["--host", host] if host else [])
        told = self.asked(arguments, "listing its snapshots")
        if not told.strip():
            raise IntactError("repository %s: restic listed its snapshots and said nothing at all, not even that there are none" % self.name)
        return sorted(json.loads(told) or [], key=lambda entry: entry["time"])

    def ls(self, snapshot):
        """Entries of a snapshot as a stream: dict with path (bytes, exactly as on the host), type, size, mode (Go's), uid, gid, mtime."""
        entries = _listing.nodes(self._lines(["ls", "--json", snapshot]))
        return _listing.exact(entries, lambda: (line[:-1] for line in self._lines(["ls", "--quiet", snapshot])))

    def _lines(self, arguments):
        call = self._start(arguments)
        try:
            yield from call.process.stdout
        except BaseException:
            call.stop("aborted")
            raise
        outcome = self._end(call)
        if not outcome.ok:
            raise _outcome.ResticError(outcome, self.name, "listing snapshot %s" % arguments[-1])

    def restore(self, snapshot, target, include=()):
        """Restore a snapshot, or what the patterns name, below target. unreadable: what did not come back."""
        arguments = ["restore", snapshot, "--target", target] + [part for pattern in include for part in ("--include", pattern)]
        outcome = self.run(arguments + (["--sparse"] if self.has("sparse") else []))
        wrong = re.findall(r"ignoring error for (.*?): ([^\n]*)", outcome.said, re.S)
        outcome.unreadable = sorted({_listing.find_exact(name): why for name, why in reversed(wrong)}.items())
        return outcome

    def dump(self, snapshot, path, out):
        """Write one file of a snapshot into out, an open file."""
        return self._end(self._start(["dump", snapshot, path], stdout=out))

    def locks(self):
        """Locks in the repository: [{id, hostname, pid, time, exclusive, username}]; one that vanished meanwhile is none."""
        found = []
        for lock in self.asked(["list", "locks", "--no-lock", "--quiet"], "listing its locks").decode("ascii", "replace").split():
            outcome = self.run(["cat", "lock", lock, "--no-lock", "--quiet"])
            if outcome.ok:
                found.append(dict(json.loads(outcome.out), id=lock))
        return found

    def unlock_stale(self):
        """Take away this host's locks whose processes are dead: (removed, kept), lists of locks, those kept with why.

        `restic unlock` also takes other hosts' locks that look old, and a wrong clock makes all of them look so: it is not run where it would.
        """
        dead, kept, harm = _locks.judge(self.locks(), socket.gethostname(), time.time(), _locks.alive)
        if not dead or harm:
            return [], kept + dead
        outcome = self.run(["unlock", "--quiet"])
        if not outcome.ok:
            raise _outcome.ResticError(outcome, self.name, "taking stale locks away")
        left = {lock["id"] for lock in self.locks()}
        return [lock for lock in dead if lock["id"] not in left], kept + [lock for lock in dead if lock["id"] in left]


class Stream:
    """A restic that takes a stream. finish() makes the snapshot, abort() makes sure that there is none."""

    def __init__(self, restic, call, watch, name):
        self.restic, self.call, self.name, self._watch = restic, call, name, watch
        self.pipe, self.pid = call.process.stdin, call.process.pid

    def write(self, data):
        """Pass on bytes. Raises BrokenPipeError when restic is gone."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.pipe.fileno(), view) :]

    def finish(self):
        """The stream was whole: end it, wait for the snapshot."""
        self.pipe.close()
        return self.restic._judged(self.restic._end(self.call, self._watch))

    def abort(self):
        """The stream is unwanted. The pipe is closed only when restic is dead: an end of input is all it needs to call a torn stream a snapshot."""
        self.call.stop("aborted")
        try:
            self.pipe.close()
        except BrokenPipeError:
            pass
        return self.restic._end(self.call, self._watch)
