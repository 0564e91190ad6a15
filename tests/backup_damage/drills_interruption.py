# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a backup from its end: a full disk, a kill, a lock, a dead connection, a wrong clock."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import threading
import time

from damage_lab import UTC, Server, at, drill, expect, filled, good, restic, source

from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _clock


@drill
def repository_full():
    """The repository's own disk is full: told by the system, then by a server that says no more than 500."""
    told = []
    for served in (False, True):
        os.makedirs(at("full"), exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "intact-damage", at("full")], check=True)
        server = Server(at("full")) if served else None
        try:
            one = server.restic() if server else restic(at("full/r"))
            good(one.init())
            outcome = one.backup([source()])
        finally:
            if server:
                server.stop()
            subprocess.run(["umount", at("full")], check=True)
        told.append(expect(outcome.findings("vault", "files"), "backup.repository.full", "vault files"))
    return " | ".join(told)


@drill
def killed_in_the_middle_then_resumed():
    """restic is killed: no snapshot, a lock is left; the next run takes it away and succeeds."""
    one = restic(at("killed"), limits={"upload_kib": 600})
    good(one.init())
    pids = []

    def kill():
        time.sleep(3)
        pids.extend(lock["pid"] for lock in one.locks())
        os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    outcome = one.backup([source()])
    thread.join()
    told = expect(outcome.findings("vault", "files"), "backup.snapshot.incomplete", "vault files")
    assert one.snapshots() == []
    assert [lock["pid"] for lock in one.locks()] == pids
    removed, kept = restic(at("killed")).unlock_stale()
    assert [lock["pid"] for lock in removed] == pids and kept == []
    good(restic(at("killed")).backup([source()]))
    found, _coverage = _check.run(one, {}, 1)
    assert found == [], found
    return told


@drill
def lock_of_a_living_process():
    """A lock whose process lives is left alone, and named."""
    one, _shot = filled("lock")
    stream = one.stdin("/intact/x", ["intact"])
    stream.write(b"x")
    time.sleep(2)
    found, _coverage = _check.run(one, {}, 1)
    removed, kept = one.unlock_stale()
    ended = stream.abort()
    assert removed == [] and [lock["pid"] for lock in kept] == [stream.pid], (removed, kept, found, ended)
    assert str(stream.pid) in found[0].evidence
    return expect(found, "backup.repository.locked", "vault")


@drill
def connection_cut():
    """The server dies in the middle: found within our patience, not restic's 15 minutes; afterwards a run succeeds."""
    os.makedirs(at("cut"))
    server = Server(at("cut"), more=["--bwlimit", "1M"])
    try:
        good(server.restic().init())
        threading.Timer(3, server.stop).start()
        began = time.monotonic()
        outcome = server.restic(limits={"upload_kib": 1000}).backup([source()])
        seconds = time.monotonic() - began
    finally:
        server.stop()
    told = expect(outcome.findings("vault", "files"), "backup.repository.unreachable", "vault files")
    assert seconds < 45, seconds
    server.argv.remove("--bwlimit")
    server.argv.remove("1M")
    server.start()
    try:
        assert server.restic().snapshots() == []
        removed, _kept = server.restic().unlock_stale()
        assert len(removed) == 1
        good(server.restic().backup([source()]))
        found, _coverage = _check.run(server.restic(), {}, 1)
    finally:
        server.stop()
    assert all(finding.id == "backup.repository.damaged" for finding in found)
    return "%.0f s; %s; afterwards: %s" % (seconds, told, [finding.subject for finding in found])


@drill
def clock_off_by_a_day():
    """The server's own time tells, without credentials."""
    server = Server(at("clock"))
    try:
        moment = _clock.server_time({"url": "rest:" + server.address})
    finally:
        server.stop()
    now = datetime.datetime.now(UTC)
    assert _clock.judge("vault", now, moment) == []
    day = datetime.timedelta(days=1)
    expect(_clock.judge("vault", now - day, None, now.isoformat()), "backup.clock", "vault")
    return expect(_clock.judge("vault", now + day, moment), "backup.clock", "vault")
