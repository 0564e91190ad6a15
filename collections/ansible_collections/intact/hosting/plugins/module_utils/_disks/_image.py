# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An image of a failing disk by GNU ddrescue: what reads well first, the bad places last, continued by its map after whatever ended it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import subprocess
import time
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _damage, _hold, _identified, _look, _mapfile
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, read_if_exists, write_atomic, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SPARE = 64 << 20  # bytes that stay free beside a whole image
TOLD_EVERY = 2.0  # seconds
_PLAIN = re.compile(r"/[A-Za-z0-9._/+@-]*\Z")


@dataclass
class Settings:
    """What legacy_image was told. retries: how often the bad places are read again after all else."""

    device: str
    token: str
    image: str
    retries: int = 3


class Imaging:
    """One disk's image: IMAGE, IMAGE.map of ddrescue, IMAGE.json {schema token device size status retries read_only progress}, IMAGE.damaged.json."""

    def __init__(self, settings):
        self.settings = settings
        path = os.path.normpath(settings.image)
        if not _PLAIN.match(path) or path.endswith("/") or not os.path.basename(path):
            raise IntactError("image is %s: give the absolute path of a file whose name has letters, digits and ._+@- only" % escape(settings.image))
        self.image = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        self.map, self.record = self.image + ".map", self.image + ".json"
        self.document, self.lock = {}, None

    def save(self, **changes):
        """Change the document and make it durable."""
        self.document.update(changes)
        write_document(self.record, self.document)

    def run(self, check_mode=False):
        """{changed image mapfile token bytes {size rescued bad} areas damaged [{...}] finished findings}."""
        self._place()
        self._load()
        if self._done():
            return self._told(False)
        nodes = _block.nodes(self.settings.device)
        if os.path.realpath(self.settings.device) == self.image:
            raise IntactError("device and image are the same file, %s" % self.image, device=self.settings.device)
        _identified.check(self.settings.device, self.settings.token)
        size = _block.size(nodes[0]["path"])
        if self.document and self.document.get("size") != size:
            raise IntactError(
                "%s has %d bytes, and had %d when %s was begun: it is failing or another disk" % (nodes[0]["path"], size, self.document["size"], self.image)
            )
        _hold.free(self.settings.device, nodes)
        self._room(size)
        if not check_mode and not which("ddrescue"):
            raise IntactError("ddrescue is not installed on this host: install the package gddrescue")
        if check_mode:
            return dict(self._told(True), finished=False)
        with self._alone():
            return self._make(nodes, size)

    def _place(self):
        """The directory is root's alone and the image a plain file, or not there yet: nobody can put a link in the way."""
        directory = os.path.dirname(self.image)
        try:
            state = os.stat(directory)
        except OSError as exc:
            raise IntactError("%s is not there: make the directory (0700, root's), with room for the whole disk" % directory, image=self.image) from exc
        if state.st_uid != 0 or state.st_mode & 0o022:
            raise IntactError("%s is not root's alone: chown root, chmod 0700, or choose another place for the image" % directory, image=self.image)
        for path in (self.image, self.map, self.record):
            with contextlib.suppress(FileNotFoundError):
                state = os.lstat(path)
                if not stat.S_ISREG(state.st_mode) or state.st_uid != 0 or state.st_nlink != 1:
                    raise IntactError(
                        "%s is no plain file of root's: an image is never written to a device or through a link; give another path" % path, image=path
                    )

    def _load(self):
        if os.path.exists(self.record):
            try:
                self.document = read_document(self.record)
            except (OSError, ValueError) as exc:
                raise IntactError("%s can't be read (%s): move it and %s away, or give another image" % (self.record, exc, self.image)) from exc
            if self.document.get("token") != self.settings.token:
                raise IntactError(
                    "%s is the image of another disk: expected %s, seen %s. Give another image" % (self.image, self.settings.token, self.document.get("token")),
                    expected=self.settings.token,
                    seen=self.document.get("token"),
                )
        elif os.path.exists(self.image) or os.path.exists(self.map):
            raise IntactError("%s is there and not by legacy_image: nothing was overwritten; move it away or give another path" % self.image, image=self.image)

    def _done(self):
        """Whether all was tried as often as asked, and the image is still the size of its disk. The disk is not asked: it may be gone."""
        document = self.document
        if document.get("status") != "done" or not os.path.isfile(self.image) or os.path.getsize(self.image) != document["size"]:
            return False
        return not document["progress"]["bad"] or document["retries"] >= self.settings.retries

    def _room(self, size):
        there = os.stat(self.image).st_blocks * 512 if os.path.exists(self.image) else 0
        state = os.statvfs(os.path.dirname(self.image))
        free, wanted = state.f_bavail * state.f_frsize, max(0, size - there) + SPARE
        if free < wanted:
            said = (os.path.dirname(self.image), free, wanted, self.settings.device)
            raise IntactError("%s has %d bytes free, and %d are needed for an image of %s: make room or give another path" % said, free=free, needed=wanted)

    @contextlib.contextmanager
    def _alone(self):
        """The lock is ddrescue's too: one that outlived its starter is still at work."""
        self.lock = os.open(self.image + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                raise IntactError(
                    "another run, or a ddrescue that it left, works on %s: wait for its end and run again" % self.image, image=self.image
                ) from exc
            yield
        finally:
            os.close(self.lock)

    def _make(self, nodes, size):
        self._load()
        if self._done():
            return self._told(False)
        path = nodes[0]["path"]
        base = {"schema": 1, "token": self.settings.token, "device": path, "size": size}
        # Before the image: one without this document is nobody's, and is refused.
        self.save(status="running", retries=0, read_only=self.document.get("read_only") or {}, **base)
        self._create(size)
        _hold.freeze(nodes, self)
        try:
            options = ["-b", str(_block.sector(path))] + (["-d"] if _direct(path) else [])
            self._pass("all that reads well", path, size, options + ["-n"])
            if _mapfile.missing(self._areas(), size):
                self._pass("the bad places", path, size, options + ["-r", str(self.settings.retries)])
            self._alive(path, size)
        finally:
            with contextlib.suppress(IntactError, OSError):
                _hold.thaw(nodes, self)
                self.save(read_only={})
        self._finish(size)
        return self._told(True)

    def _create(self, size):
        """The image at its full size, sparse; a map without its image would claim what is not there."""
        fresh = not os.path.exists(self.image)
        fd = os.open(self.image, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(fd, 0o600)
            if fresh or os.fstat(fd).st_size < size:
                os.ftruncate(fd, size)
                fresh = True
            os.fsync(fd)
        finally:
            os.close(fd)
        if fresh:
            for path in (self.map, self.map + ".kept"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            return
        # A kill may tear the map: the last whole one only means that some is read again.
        for path in (self.map, self.map + ".kept"):
            raw = read_if_exists(path)
            with contextlib.suppress(IntactError):
                _mapfile.parse((raw or b"").decode("ascii", "replace"), path)
                if path != self.map:
                    write_atomic(self.map, raw)
                return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.map)

    def _areas(self, keep=False):
        raw = read_if_exists(self.map) or b""
        areas = _mapfile.parse(raw.decode("ascii", "replace"), self.map)
        if keep:
            write_atomic(self.map + ".kept", raw)
        return areas

    def _pass(self, name, path, size, options):
        """One run of ddrescue, its progress told in the document as often as the map changes."""
        interval = ["--mapfile-interval=5"] if b"--mapfile-interval" in run(["ddrescue", "--help"]).out else []
        argv = ["ddrescue", "-q", "-S", *interval, *options, path, self.image, self.map]
        seen = None
        with open(self.image + ".log", "ab") as log:
            os.fchmod(log.fileno(), 0o600)
            with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(self.lock,)) as process:
                try:
                    while process.poll() is None:
                        seen = self._progress(name, size, seen)
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            process.wait(TOLD_EVERY)
                except BaseException:
                    process.terminate()
                    raise
        self._progress(name, size, None)
        if process.returncode:
            self._alive(path, size)
            said = (read_if_exists(self.image + ".log") or b"").decode("utf-8", "replace").strip().splitlines()[-1:]
            raise IntactError("ddrescue ended with status %d: %s. Run it again, it goes on" % (process.returncode, escape("".join(said)) or "it said nothing"))

    def _progress(self, name, size, seen):
        with contextlib.suppress(OSError, IntactError):
            stamp = os.stat(self.map).st_mtime_ns
            if stamp != seen:
                areas = self._areas(keep=True)
                self.save(progress=dict(_counts(areas, size), doing=name, at=int(time.time())))
            return stamp
        return seen

    def _alive(self, path, size):
        """A disk that went away is no disk full of bad sectors."""
        try:
            now = _block.size(path)
        except OSError as exc:
            raise IntactError("%s went away (%s): look at cable and power, and run again, it goes on" % (path, exc.strerror), device=path) from exc
        if now != size:
            raise IntactError("%s has %d bytes now and had %d: look at cable and power, and run again, it goes on" % (path, now, size), device=path)

    def _finish(self, size):
        areas = self._areas(keep=True)
        left = _mapfile.missing(areas, size, "?*/")
        if left:
            raise IntactError("ddrescue left %d bytes of %s untried: run again, it goes on" % (_mapfile.total(left), self.document["device"]))
        if os.path.getsize(self.image) != size:
            raise IntactError("%s has %d bytes and its disk %d: is the filesystem full?" % (self.image, os.path.getsize(self.image), size))
        fd = os.open(self.image, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        self._same_table()
        found = _damage.damaged(self.image, size, _mapfile.missing(areas, size))
        findings = [finding.as_dict() for finding in found.pop("findings")]
        write_document(self.image + ".damaged.json", found)
        os.chmod(self.image, 0o400)
        self.save(status="done", retries=self.settings.retries, progress=dict(_counts(areas, size), doing="done", at=int(time.time())), findings=findings)

    def _same_table(self):
        """The image's own token is read from the image: its half after the slash is what the disk's look said."""
        entry = _look.look(System(), [self.image], smart=False, describe=False)["devices"][escape(self.image)]
        seen, wanted = entry["token"].rpartition("/")[2], self.settings.token.rpartition("/")[2]
        if seen != wanted:
            raise IntactError(
                "%s holds another partition table or content (%s) than the disk was looked at with (%s): the place of the table may be damaged by now; "
                "run again with more retries, or repair the table of a copy and take that copy's token" % (self.image, seen, wanted),
                image=self.image,
                expected=wanted,
                seen=seen,
            )

    def _told(self, changed):
        progress, size = self.document.get("progress") or {}, self.document.get("size", 0)
        damaged = []
        with contextlib.suppress(OSError, ValueError, KeyError):
            damaged = read_document(self.image + ".damaged.json")["files"][: _damage.TOLD]
        return {
            "changed": changed,
            "image": self.image,
            "mapfile": self.map,
            "token": self.settings.token,
            "bytes": {"size": size, "rescued": progress.get("rescued", 0), "bad": progress.get("bad", 0)},
            "areas": progress.get("areas", 0),
            "damaged": damaged,
            "finished": self.document.get("status") == "done",
            "findings": list(self.document.get("findings") or ()),
        }


def _counts(areas, size):
    bad, left = _mapfile.missing(areas, size, "-"), _mapfile.missing(areas, size, "?*/")
    return {"rescued": size - _mapfile.total(bad) - _mapfile.total(left), "bad": _mapfile.total(bad), "left": _mapfile.total(left), "areas": len(bad)}


def _direct(path):
    """Whether a device can be read past the page cache, whose reading ahead would touch bad places."""
    if _block.is_file(path):
        return False
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError:
        return False
    return True
