# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What restic 0.11 (Debian 11) and 0.18.0 (Debian 13) do otherwise: real messages of theirs (directory restic_said), and the arguments that they get."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _outcome, _process, _restic, _snapshots

SAID = os.path.join(os.path.dirname(__file__), "restic_said")
PACK = "2671c75a" + "1" * 56


def said(name):
    with open(os.path.join(SAID, name + ".txt"), encoding="utf-8") as handle:
        return handle.read()


@pytest.mark.parametrize(
    ("name", "rc", "kinds", "word"),
    [
        ("0.11-check-flipped-pack-read", 1, {"pack"}, "does not match"),
        ("0.11-check-missing-pack", 1, {"pack"}, "does not exist"),
        ("0.11-check-truncated-pack-read", 1, {"pack"}, "does not match"),
        ("0.11-check-missing-index", 1, {"tree"}, ""),
        ("0.11-check-flipped-index", 1, {"index"}, "invalid data"),
        ("0.11-check-flipped-snapshot", 1, {"snapshot"}, "invalid data"),
        ("0.11-check-flipped-config", 1, {"file"}, "cannot be loaded"),
        ("0.18-check-flipped-pack-read", 1, {"pack"}, "contains 2 errors"),
        ("0.18-check-missing-pack", 1, {"pack"}, "does not exist"),
        ("0.18-check-truncated-pack", 1, {"pack"}, "unexpected file size"),
        ("0.18-check-missing-index", 1, {"tree"}, ""),
        ("0.18-check-flipped-index", 1, {"index"}, "invalid data"),
        ("0.18-check-flipped-snapshot", 1, {"snapshot"}, "invalid data"),
        ("0.18-snapshots-flipped-snapshot", 0, {"snapshot"}, "invalid data"),
        ("0.18-check-flipped-config", 1, {"key"}, "is damaged"),
        ("0.18-check-flipped-key", 1, {"key"}, "invalid data"),
    ],
)
def test_a_check_names_what_is_damaged(name, rc, kinds, word):
    text = said(name)
    signs = _check.damaged(text)
    assert {kind for kind, _id, _why in signs} == kinds
    assert len(signs) == (3 if kinds == {"tree"} else 1)
    assert all(word in why for _kind, _id, why in signs)
    assert _outcome.classify(rc, text) == "damaged"
    assert (_check.uncounted(text) > 0) == name.endswith("missing-index")


@pytest.mark.parametrize(
    ("name", "rc", "kind"),
    [
        ("0.18-backup-full-disk", 1, "full"),
        # The second try finds what the first left behind, which append-only does not let it write over.
        ("0.18-backup-full-server", 1, "full"),
        # restic 0.18 ends with 0 all the same
        ("0.18-forget-refused", 0, "refused"),
    ],
)
def test_what_is_about_writing_is_not_about_credentials(name, rc, kind):
    assert _outcome.classify(rc, said(name)) == kind


def test_a_403_is_about_credentials_where_something_is_read():
    assert _outcome.classify(1, "Stat(<config/>) failed: unexpected HTTP response (403): 403 Forbidden") == "wrong-password"
    assert _outcome.classify(1, "Fatal: unable to open config file: unexpected HTTP response (403): 403 Forbidden") == "wrong-password"
    # a lock that stays is the next run's to take away, the snapshot is there
    assert _outcome.classify(0, "unable to remove lock/12345678 from the repository") == "ok"


class Fake(_restic.Restic):
    """A Restic of some version: what it would run, and what that would say."""

    def __init__(self, version, answers=()):
        super().__init__({"name": "vault", "url": "/r", "password_file": "/dev/null"})
        self._version, self.answers, self.asked_for = version, dict(answers), []

    def run(self, arguments, line=None, memories=()):
        self.asked_for.append(arguments)
        key = next((key for key in self.answers if key == tuple(arguments[: len(key)])), None)
        return _outcome.Outcome("ok", 0, out=self.answers.get(key, b""))


INDEX = {"packs": [{"id": PACK, "blobs": [{"id": "d" * 64, "type": "data", "length": 1}, {"id": "e" * 64, "type": "tree", "length": 1}]}]}
LOST = {
    ("list", "packs"): b"ab" * 32 + b"\n",
    ("list", "index"): b"cd" * 32 + b"\n",
    ("cat", "index"): json.dumps(INDEX).encode() + b"\n",
    ("find", "--json", "--no-lock", "--pack"): b"[]\n",
    ("find", "--json", "--no-lock", "--blob"): b'[{"object_type":"blob","path":"/srv/a","snapshot":"5a"}]\n',
}


def test_a_short_id_becomes_the_whole_one():
    one = Fake((0, 11, 0), LOST)
    assert one.full_id("pack", "abababab") == "ab" * 32
    # a pack that is gone is known to the index alone
    assert one.full_id("pack", "2671c75a") == PACK
    assert one.full_id("pack", "99999999") == "99999999"
    assert one.full_id("index", "cdcdcdcd") == "cd" * 32
    asked = len(one.asked_for)
    assert one.full_id("tree", "12345678") == "12345678" and one.full_id("pack", PACK) == PACK and len(one.asked_for) == asked


def test_files_of_a_lost_pack_are_told_by_its_blobs_where_find_looks_into_the_pack():
    one = Fake((0, 11, 0), LOST)
    found = _check._named(one, said("0.11-check-missing-pack"), None, [("files", "5a")])
    assert [finding.subject for finding in found] == ["vault pack " + PACK[:16]]
    assert found[0].details["object_id"] == PACK and found[0].details["paths"] == ["/srv/a"]
    assert one.asked_for[-1] == ["find", "--json", "--no-lock", "--blob", "--snapshot", "5a", "d" * 64]
    newer = Fake((0, 14, 0), LOST)
    _check.affected(newer, "pack", PACK, [])
    assert not any("--blob" in arguments for arguments in newer.asked_for)


@pytest.mark.parametrize("name", ["0.11-check-missing-index", "0.18-check-missing-index"])
def test_a_lost_index_is_named_and_not_the_trees(name):
    found = _check._named(Fake((0, 18, 0), {("snapshots",): b"[]"}), said(name), None, [])
    assert [finding.subject for finding in found] == ["vault index (missing)"]
    assert "packs are in no index, and 3 directories" in found[0].evidence


class Started:
    """In place of _process.Call: what was started with what. It prints these lines and ends well."""

    prints, said, stopped, seconds = (), b"", "", 0.0

    def __init__(self, argv, environment, memories=(), **more):
        self.argv, self.environment, self.more = argv, environment, more
        self.process = type("Process", (), {"stdin": io.BytesIO(), "pid": 1})()
        for memory in memories:
            memory.close()

    def wait(self):
        for line in self.prints:
            self.more["line"](line)
        return 0


@pytest.fixture
def begin(monkeypatch, tmp_path):
    password = tmp_path / "password"
    password.write_text("geheim")
    password.chmod(0o600)
    monkeypatch.setattr(_process, "Call", Started)

    def make(version):
        one = Fake(version)
        one.repository["password_file"], one.cache = str(password), str(tmp_path / "cache")
        return one

    return make


@pytest.mark.parametrize(
    ("told", "cached", "asked"),
    [
        ("abababab", ["ab" * 32], 0),
        ("abababab", [], 1),
        ("abababab", ["ab" * 32, "ab" * 4 + "c" * 56], 1),
        ("ab" * 32, [], 0),
    ],
)
def test_a_backup_tells_the_whole_id_of_its_snapshot_whichever_restic_made_it(begin, monkeypatch, tmp_path, told, cached, asked):
    one = begin((0, 14, 0))
    one.answers["list", "snapshots"] = b"%s\n%s\n" % (b"fe" * 32, b"ab" * 32)
    for name in cached:
        place = tmp_path / "cache" / ("d" * 64) / "snapshots" / name[:2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    monkeypatch.setattr(Started, "prints", [b'{"message_type":"summary","snapshot_id":"%s"}\n' % told.encode()])
    for outcome in (one.backup([b"/etc"]), one.stdin("/intact/x").finish()):
        assert (outcome.kind, outcome.snapshot) == ("ok", "ab" * 32)
    assert len(one.asked_for) == 2 * asked


def test_the_init_of_011_gets_its_address_in_the_environment_and_nothing_else_does(begin):
    init = begin((0, 11, 0))._start(["init"])
    assert init.environment["RESTIC_REPOSITORY"] == "/r" and "RESTIC_REPOSITORY_FILE" not in init.environment and "/r" not in init.argv
    for version, arguments in (((0, 11, 0), ["check"]), ((0, 11, 0), ["backup", "init"]), ((0, 12, 0), ["init"])):
        call = begin(version)._start(arguments)
        assert "RESTIC_REPOSITORY" not in call.environment and call.environment["RESTIC_REPOSITORY_FILE"].startswith("/proc/self/fd/")


def test_a_backup_of_011_is_killed_and_not_asked(begin):
    assert begin((0, 11, 0))._start(["backup"]).more["gentle"] is False
    assert begin((0, 11, 0))._start(["check"]).more["gentle"] and begin((0, 12, 0))._start(["backup"]).more["gentle"]


@pytest.mark.parametrize(("gentle", "numbers"), [(True, [signal.SIGINT, signal.SIGKILL]), (False, [signal.SIGKILL])])
def test_who_is_not_gentle_kills_at_once(gentle, numbers, monkeypatch):
    monkeypatch.setattr(_process, "GRACE", 0.2)
    call = _process.Call(["sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.1; done"], dict(os.environ), gentle=gentle)
    assert call.process.stdout.readline() == b"ready\n"
    sent, send = [], call.process.send_signal
    monkeypatch.setattr(call.process, "send_signal", lambda number: (sent.append(number), send(number)))
    call.stop("aborted")
    assert sent == numbers
    assert call.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ((0, 11, 0), "/intact/databases/mysql/a%20b.sql"),
        ((0, 17, 3), "/intact/databases/mysql/a%20b.sql"),
        # restic#5324: takes no directory
        ((0, 18, 0), "/intact%2Fdatabases%2Fmysql%2Fa%2520b.sql"),
        ((0, 18, 1), "/intact/databases/mysql/a%20b.sql"),
    ],
)
def test_a_stream_is_found_again_whichever_restic_took_it(begin, version, name):
    call = begin(version).stdin("/intact/databases/mysql/a%20b.sql").call
    told = call.argv[call.argv.index("--stdin-filename") + 1]
    assert told == name
    run = _snapshots.Run("databases", "r", streams={"/intact/databases/mysql/other.sql": "1", told: "2"})
    assert _snapshots.stream_snapshot(run, {"path": "databases/mysql/a%20b.sql"}) == (told, "2")
    assert _snapshots.stream_snapshot(run, {"path": "databases/mysql/a b.sql"}) is None


@pytest.mark.parametrize(
    ("why", "stopped"),
    [
        ('Write: sftp: "Failure" (SSH_FX_FAILURE)', "gave-up"),
        ("write /r/data: no space left on device", "gave-up"),
        ("read: connection reset by peer", ""),
    ],
)
def test_retries_that_cannot_help_are_not_waited_for(why, stopped):
    """A minute for each call of restic, with the disk as full as before; a line that was cut may come back."""
    script = "for n in 1 2 3 4; do echo 'Save(<data/35>) returned error, retrying after 5s: %s' >&2; done; [ %d = 0 ] || sleep 60" % (why, bool(stopped))
    moments = itertools.count(0, 5.0)
    call = _process.Call(["sh", "-c", script], dict(os.environ), clock=lambda: next(moments), gentle=False)
    assert (call.wait() != 0, call.stopped) == (bool(stopped), stopped)
