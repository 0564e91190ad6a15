# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damage for real: repositories are broken in every way that the issue lists, and each must be found by its own id with the object's name.

Wants root (a small tmpfs is mounted), restic and rclone; without them it fails, it does not skip. Run: python3 tests/backup_damage/drills.py [name ...]
"""

from __future__ import annotations

import datetime
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "collections"))
from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _clock, _restic, _snapshots, _stream

ROOT = tempfile.mkdtemp(prefix="intact-damage-")
DRILLS = []
UTC = datetime.timezone.utc  # noqa: UP017 (Debian 11 runs it too)


def drill(function):
    """A drill, to be run in its order."""
    DRILLS.append(function)
    return function


def at(*parts):
    """A path in the scratch root."""
    return os.path.join(ROOT, *parts)


def source():
    """A small tree with nasty names; two files of some size."""
    top = os.fsencode(at("src"))
    if not os.path.isdir(top):
        os.makedirs(top + b"/sub")
        for name in (b"new\nline", b"latin1-\xe4\xf6", b"\xe4" * 255, "\ufffd".encode(), b"sub/\xff\n\xfe", b" lead trail ", b"star*[a]?\\"):
            with open(top + b"/" + name, "wb") as handle:
                handle.write(name)
        for name in (b"big", b"sub/big2"):
            with open(top + b"/" + name, "wb") as handle:
                handle.write(os.urandom(3000000))
    return top


def restic(url, name="vault", patience=6, password="geheim", **more):
    """A Restic with its own password file."""
    path = at("password-%d" % sum(password.encode()))
    if not os.path.exists(path):
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as handle:
            handle.write(password)
    limits = more.pop("limits", {})
    return _restic.Restic(dict({"name": name, "url": url, "password_file": path}, **more), limits=limits, cache=at("cache"), patience=patience)


def good(outcome):
    """The outcome, which must be a full success."""
    assert outcome.ok, outcome
    return outcome


def filled(name):
    """(Restic, snapshot) of a new local repository with two backups."""
    one = restic(at(name))
    good(one.init())
    first = good(one.backup([source()], ["intact", "class:files"]))
    with open(source() + b"/later", "w", encoding="ascii") as handle:
        handle.write(name)
    good(one.backup([source()], ["intact", "class:files"]))
    return one, first.snapshot


def flip(path):
    """Flip one bit in the middle of a file."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as handle:
        handle.seek(os.path.getsize(path) // 2)
        byte = handle.read(1)
        handle.seek(-1, os.SEEK_CUR)
        handle.write(bytes([byte[0] ^ 4]))


def largest(pattern):
    """The largest file that matches."""
    return max(glob.glob(at(pattern), recursive=True), key=os.path.getsize)


def expect(findings, wanted, name):
    """All findings have this id, and one names the object."""
    told = [(finding.id, finding.subject) for finding in findings]
    assert findings and {finding.id for finding in findings} == {wanted}, "wanted %s, found %s" % (wanted, told)
    assert any(name in finding.subject for finding in findings), "%r is not named: %s" % (name, told)
    return "; ".join("%s [%s] %s" % (finding.id, finding.subject, finding.evidence[:140]) for finding in findings)


class Server:
    """rclone's REST server on localhost, as it runs on the vault."""

    def __init__(self, directory, user=("web1", "geheim2"), more=()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = "http://127.0.0.1:%d/" % self.port
        self.argv = ["rclone", "serve", "restic", "--append-only", "--addr", "127.0.0.1:%d" % self.port, "--user", user[0], "--pass", user[1], *more, directory]
        self.environment = at("environment-%d" % self.port)
        with open(os.open(self.environment, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as handle:
            handle.write("RESTIC_REST_USERNAME=%s\nRESTIC_REST_PASSWORD=%s\n" % user)
        self.start()

    def start(self):
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _try in range(100):
            assert self.process.poll() is None, "rclone ended with status %d" % self.process.returncode
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("rclone does not answer")

    def stop(self):
        """Kill it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def restic(self, **more):
        """A client."""
        return restic("rest:" + self.address, environment_file=self.environment, **more)


@drill
def flipped_bit_in_a_pack():
    """Structure is fine, reading finds it; the part that was read counts no more."""
    one, shot = filled("flip")
    pack = largest("flip/data/*/*")
    flip(pack)
    found, coverage = _check.run(one, {}, 1, [("files", shot)])
    assert coverage.get("read") == {}, coverage
    assert any("/src/big" in path for finding in found for path in finding.details["paths"]), found
    return expect(found, "backup.repository.damaged", "pack " + os.path.basename(pack)[:16])


@drill
def missing_pack():
    """A pack with files' content is gone."""
    one, shot = filled("missing")
    pack = largest("missing/data/*/*")
    os.unlink(pack)
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "pack " + os.path.basename(pack)[:16])


@drill
def missing_pack_of_directories():
    """restic would retry for minutes for every directory: it is stopped when it is known."""
    one, shot = filled("trees")
    packs = sorted(glob.glob(at("trees/data/*/*")), key=os.path.getsize)
    os.unlink(packs[0])
    began = time.monotonic()
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    assert time.monotonic() - began < 90
    return expect(found, "backup.repository.damaged", "pack " + os.path.basename(packs[0])[:16])


@drill
def missing_index():
    """An index file is gone."""
    one, shot = filled("index")
    os.unlink(largest("index/index/*"))
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "index (missing)")


@drill
def flipped_bit_in_an_index():
    """An index file is damaged."""
    one, shot = filled("index2")
    path = largest("index2/index/*")
    flip(path)
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "index " + os.path.basename(path)[:16])


@drill
def flipped_bit_in_a_snapshot():
    """A snapshot's own file is damaged."""
    one, shot = filled("snap")
    flip(at("snap/snapshots", shot))
    shutil.rmtree(at("cache"))
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "snapshot " + shot[:10])


@drill
def missing_snapshot():
    """restic check finds nothing: only the state knows that there was one."""
    one, shot = filled("snap2")
    os.unlink(at("snap2/snapshots", shot))
    good(one.run(["check"]))
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "files snapshot " + shot[:16])


@drill
def nothing_damaged():
    """Every part in turn, then the one read longest ago."""
    one, shot = filled("fine")
    coverage = {}
    for number in range(4):
        found, coverage = _check.run(one, coverage, 3, [("files", shot)], now="2026-11-2%dT00:00:00Z" % number)
        assert found == [], found
    assert coverage["read"] == {"1": "2026-11-23T00:00:00Z", "2": "2026-11-21T00:00:00Z", "3": "2026-11-22T00:00:00Z"}, coverage
    return str(_check.covered(coverage, datetime.datetime(2026, 11, 24, tzinfo=UTC)))


@drill
def names_survive():
    """Names with newlines, latin1 bytes, 255 bytes: into the snapshot, out of the listing, back to a disk."""
    one, _shot = filled("names")
    shot = one.snapshots()[-1]["id"]
    wanted = {os.path.join(top, name) for top, dirs, files in os.walk(source()) for name in dirs + files}
    listed = {entry["path"] for entry in one.ls(shot)}
    assert wanted <= listed, wanted - listed
    good(one.restore(shot, at("restored")))
    back = {
        path[len(os.fsencode(at("restored"))) :]
        for top, dirs, files in os.walk(os.fsencode(at("restored")))
        for path in [os.path.join(top, n) for n in dirs + files]
    }
    assert wanted <= back, wanted - back
    return "%d names" % len(wanted)


@drill
def unreadable_and_missing_source():
    """An I/O error (a process' memory as root meets it) and a source that is not there: partial, both named."""
    one, _shot = filled("unreadable")
    outcome = one.backup([source() + b"/big", b"/proc/self/mem", source() + b"/gone\xe4\n"])
    assert outcome.kind == "partial", outcome
    names = [name for name, _why in outcome.unreadable]
    assert names == [b"/proc/self/mem", source() + b"/gone\xe4\n"], names
    return expect(outcome.findings("vault", "files"), "backup.source.unreadable", "vault files /proc/self/mem")


@drill
def wrong_password():
    """Another password."""
    filled("password")
    outcome = restic(at("password"), password="falsch").backup([source()])
    return expect(outcome.findings("vault", "files"), "backup.repository.password", "vault files")


@drill
def refused_credentials():
    """Another user's password at the server."""
    server = Server(at("refused"))
    try:
        server.restic().init()
        other = at("environment-other")
        with open(os.open(other, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as handle:
            handle.write("RESTIC_REST_USERNAME=web1\nRESTIC_REST_PASSWORD=falsch!/@\n")
        outcome = restic("rest:" + server.address, environment_file=other).backup([source()])
    finally:
        server.stop()
    assert "falsch" not in outcome.said, outcome.said
    return expect(outcome.findings("vault"), "backup.repository.password", "vault")


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
def append_only_survives_deletion():
    """With the host's own credentials: forgetting, deleting files and overwriting fail; the copy restores."""
    server = Server(at("append"))
    try:
        one = server.restic()
        good(one.init())
        shot = one.backup([source()]).snapshot
        outcome = one.run(["forget", shot])
        told = expect(outcome.findings("vault", "files", "snapshot " + shot[:8]), "backup.repository.refused", shot[:8])
        for path in ("snapshots/" + shot, "keys/" + os.listdir(at("append/keys"))[0], "config"):
            said = subprocess.run(
                ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", "web1:geheim2", "-X", "DELETE", server.address + path],
                capture_output=True,
                check=True,
            )
            assert said.stdout == b"403", (path, said.stdout)
        assert [entry["id"] for entry in one.snapshots()] == [shot]
        good(one.restore(shot, at("survived")))
        assert os.path.exists(os.fsencode(at("survived")) + source() + b"/big")
    finally:
        server.stop()
    return told


@drill
def torn_dump_makes_no_snapshot():
    """A producer that fails leaves nothing in any repository; a consumer that dies does not end the other; a whole one is in both."""
    two = {name: restic(at("dump-" + name), name) for name in ("near", "far")}
    for one in two.values():
        good(one.init())

    def pour(script, ended, before=lambda consumers: None):
        consumers = {name: one.stdin("/intact/databases/mysql/shop.sql", ["intact", "class:databases"]) for name, one in two.items()}
        with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as producer:
            before(consumers)
            return _stream.tee(producer.stdout, consumers, lambda tail, count: ended(producer.wait(), tail))

    body = "head -c 6000000 /dev/zero; "
    whole = lambda rc, tail: "" if rc == 0 and tail.endswith(b"-- end\n") else "status %d, its last line is missing" % rc  # noqa: E731
    for script in (body + "exit 1", body, body + "sleep 2; kill -9 $$"):
        passed = pour(script, whole)
        assert not passed.whole and passed.why, passed
        assert {outcome.kind for outcome in passed.outcomes.values()} == {"interrupted"}, passed
        assert all(one.snapshots() == [] for one in two.values())
    passed = pour(body + "sleep 2; " + body + "echo '-- end'", whole, lambda consumers: os.kill(consumers["far"].pid, signal.SIGKILL))
    assert passed.whole and passed.outcomes["near"].ok and not passed.outcomes["far"].ok, passed
    assert len(two["near"].snapshots()) == 1 and two["far"].snapshots() == []
    passed = pour(body + "echo '-- end'", whole)
    assert all(outcome.ok for outcome in passed.outcomes.values()) and passed.bytes == 6000007, passed
    # Found as a drill finds it: restic 0.18.0 can't keep it below a directory.
    held = _snapshots.Run("databases", "r", streams={path: shot["id"] for shot in two["far"].snapshots() for path in shot["paths"]})
    path, shot = _snapshots.stream_snapshot(held, {"path": "databases/mysql/shop.sql"})
    assert shot == passed.outcomes["far"].snapshot, (shot, passed)
    with open(at("dump.out"), "wb") as out:
        good(two["far"].dump(shot, path, out))
    assert os.path.getsize(at("dump.out")) == passed.bytes
    return passed.sha256


@drill
def runner_killed_while_it_streams():
    """Our own process is killed with a dump half through: the kernel kills restic before the end of its input makes a snapshot."""
    one = restic(at("orphan"))
    good(one.init())
    child = os.fork()
    if child == 0:
        stream = one.stdin("/intact/x", ["intact"])
        stream.write(b"z" * 4000000)
        time.sleep(60)
        os._exit(0)
    time.sleep(3)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    time.sleep(4)
    assert one.snapshots() == []
    removed, kept = one.unlock_stale()
    assert len(removed) == 1 and kept == [], (removed, kept)
    return "no snapshot, its lock was taken away"


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


@drill
def secrets_are_nowhere():
    """Not in arguments, not in the environment's values, not in what is told."""
    server = Server(at("secret"), user=("web1", "p@ss/w:rt"))
    try:
        one = server.restic(password="hauptwort")
        good(one.init())
        stream = one.stdin("/intact/x")
        time.sleep(1)
        with open("/proc/%d/cmdline" % stream.pid, "rb") as handle:
            seen = handle.read()
        with open("/proc/%d/environ" % stream.pid, "rb") as handle:
            seen += handle.read()
        outcome = stream.abort()
    finally:
        server.stop()
    seen += outcome.said.encode()
    held = [word for word in (b"hauptwort", b"p@ss", b"p%40ss") if word in seen]
    assert held in ([], [b"p@ss"]) and (not held or one.has("rest-environment")), held
    return "restic %s: %s" % (".".join(map(str, one.version)), "in its environment" if held else "nowhere")


def main(names):
    """Run the drills; 1 when one of them fails."""
    os.nice(15)
    missing = [program for program in ("restic", "rclone", "curl") if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        print("cannot run: %s" % ("missing " + ", ".join(missing) if missing else "wants root"), file=sys.stderr)
        return 2
    failed = 0
    for function in DRILLS:
        if names and function.__name__ not in names:
            continue
        began = time.monotonic()
        try:
            told = function()
            print("ok   %-38s %5.1f s  %s" % (function.__name__, time.monotonic() - began, told), flush=True)
        except Exception as exc:  # pylint: disable=broad-exception-caught  # whatever a drill ends with, the others are run
            failed += 1
            print("FAIL %-38s %5.1f s  %s: %s" % (function.__name__, time.monotonic() - began, type(exc).__name__, exc), flush=True)
            frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if frame.filename == __file__]
            print("       line %s" % ", ".join(str(frame.lineno) for frame in frames[1:]), flush=True)
    shutil.rmtree(ROOT, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
