# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How fast a host is at what an upgrade does: a moment of CPU, a moment of durable writes. Bounded in time and room, nothing stays."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
import zlib

# What may be written, and the least share of what is free that this may be.
MOST_BYTES, SHARE, CHUNK = 64 << 20, 50, 1 << 20
SECONDS = 1.5
SYNCS = 40


def block():
    """1 MiB of text that compresses about by half, the same on every host."""
    return b"".join(hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(16384))


def cpu(seconds=SECONDS, clock=time.monotonic, spent=time.process_time):
    """CPU seconds that compressing 8 MiB takes; measured on as much of it as `seconds` allow. What else runs at this moment is no property of the host."""
    data, begun, used, rounds = block(), clock(), spent(), 0
    while rounds < 8 and (not rounds or clock() - begun < seconds):
        zlib.compress(data, 6)
        rounds += 1
    return (spent() - used) * 8.0 / rounds


def unnamed(directory):
    """A file without a name on the file system of a directory, which vanishes with the process. OSError where the file system has none such."""
    return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)


def named(directory):
    """The same by a name that is taken away before anything is written."""
    fd, path = tempfile.mkstemp(prefix=".intact-", dir=directory)
    os.unlink(path)
    return fd


def write(fd, room, seconds=SECONDS, clock=time.monotonic):
    """(bytes per second with fsync, seconds of one small fsync) of an open, empty file. room: bytes that may be written at most."""
    data, written, begun = block()[:CHUNK], 0, clock()
    while written + len(data) <= room and (not written or clock() - begun < seconds):
        os.write(fd, data)
        written += len(data)
        if written % (4 * CHUNK) == 0:
            os.fsync(fd)
    os.fsync(fd)
    spent = max(clock() - begun, 1e-6)
    begun, syncs = clock(), 0
    while syncs < SYNCS and (not syncs or clock() - begun < seconds / 3.0):
        os.pwrite(fd, b"intact\n", 0)
        os.fsync(fd)
        syncs += 1
    return written / spent, (clock() - begun) / syncs


def disk(packages, private, seconds=SECONDS, clock=time.monotonic):
    """({write_bytes_per_second, fsync_seconds} or {}, [sentences]) of the file system that holds `packages`; `private`: a directory of ours in its place."""
    notes = []
    for directory, opener in ((packages, unnamed), (private, named)):
        try:
            status = os.statvfs(directory)
            room = min(MOST_BYTES, status.f_bavail * status.f_frsize // SHARE)
            if room < CHUNK:
                return {}, notes + ["%s is too full to measure how fast it is written" % directory]
            same = os.stat(directory).st_dev == os.stat(packages).st_dev
            fd = opener(directory)
        except OSError as exc:
            notes.append("how fast %s is written was not measured: %s" % (directory, os.strerror(exc.errno or errno.EIO)))
            continue
        try:
            pace, sync = write(fd, room, seconds, clock)
        except OSError as exc:
            return {}, notes + ["how fast %s is written was not measured: %s" % (directory, os.strerror(exc.errno or errno.EIO))]
        finally:
            os.close(fd)
        notes = [] if same else ["measured on %s, while packages go to %s" % (directory, packages)]
        return {"write_bytes_per_second": round(pace), "fsync_seconds": round(sync, 6)}, notes
    return {}, notes


def take(private, packages="/usr", seconds=SECONDS, clock=time.monotonic):
    """{cpu_seconds, cpus, write_bytes_per_second, fsync_seconds, notes: [sentences]}; what could not be measured is left out. At most about 4 s.

    private: a directory of ours that is there (0700).
    """
    found, notes = disk(packages, private, seconds, clock)
    return dict(found, cpu_seconds=round(cpu(seconds, clock), 4), cpus=os.cpu_count() or 1, notes=notes)
