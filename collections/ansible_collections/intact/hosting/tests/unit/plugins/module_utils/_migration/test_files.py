# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phase files on real directories: owners mapped, read back, gone on with after a kill; and the class files, which finds each mutation that is seeded."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ansible_collections.intact.hosting.plugins.module_utils._trees._verify", reason="the package _trees is not in this tree")
pytest.importorskip("ansible_collections.intact.hosting.plugins.module_utils._migration._identity_map", reason="the identity map is not in this tree")

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_files, _context, _phases, files, reconcile
from ansible_collections.intact.hosting.plugins.module_utils._migration._explained import Explained

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners can be given by root only")
COLLECTIONS = str(Path(_context.__file__).resolve().parents[6])
ORPHANS = [1900000000, 1999999999]
RUNNER = """
import json, sys
sys.path.insert(0, %r)
from ansible_collections.intact.hosting.plugins.module_utils._migration import _context, _phases
context = _context.Context(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), phase="files")
_phases.run(context, "files")
"""


def make(path, text="x", owner=501, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.chown(path, owner, owner)
    path.chmod(mode)


@pytest.fixture(name="context")
def fixture_context(tmp_path):
    """alice, 501, is 70501 here; nobody has these numbers on this machine, so that only the map can tell them."""
    old, home = tmp_path / "old", tmp_path / "old" / "home"
    make(old / "etc" / "passwd", "root:x:0:0::/root:/bin/sh\nalice:x:501:501::/home/alice:/bin/sh\n", 0)
    make(old / "etc" / "group", "root:x:0:\nalice:x:501:\n", 0)
    make(home / "alice" / "index.html", "hello")
    make(home / "alice" / "caf\xe9".encode("latin-1").decode("utf-8", "surrogateescape"), "latin")
    make(home / "alice" / "run.sh", "#!/bin/sh\n", mode=0o4755)
    os.link(home / "alice" / "index.html", home / "alice" / "hard.html")
    os.symlink("/etc/shadow", home / "alice" / "evil")
    make(home / "alice" / "left.tmp", "x")
    make(home / "orphan", "who", owner=777)
    os.chown(home / "alice", 501, 501)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(home / "s"))
    sock.close()
    settings = {"token": "S/1", "trees": [{"from": "/home", "to": str(tmp_path / "new" / "home"), "exclude": ["*.tmp"]}]}
    context = _context.Context(str(old), str(tmp_path / "web1"), settings, phase="files")
    context.prepare()
    users = {"alice": {"name": "alice", "old": 501, "new": 70501, "how": "new"}}
    identity = {"schema": 1, "users": users, "groups": users, "uids": {"0": 0, "501": 70501}, "gids": {"0": 0, "501": 70501}, "range": ORPHANS}
    Path(context.path("identity.json")).write_text(json.dumps(identity))
    context.save(dict(_context.fresh("accounts"), status="done"))
    _phases.claim(context, "S/1")
    return context


def target(context, *names):
    return Path(context.settings["trees"][0]["to"], *names)


def test_files_come_with_mapped_owners_and_are_read_back(context):
    ran = _phases.run(context, "files")
    document = ran["document"]
    assert document["status"] == "done" and document["counts"]["differences"] == 0 and document["counts"]["verified"] >= 8
    assert not [f for f in document["findings"] if f["severity"] == "blocker"]
    assert os.stat(target(context, "alice", "run.sh")).st_uid == 70501 and os.stat(target(context, "alice", "run.sh")).st_mode & 0o7777 == 0o4755
    assert os.readlink(target(context, "alice", "evil")) == "/etc/shadow" and os.stat(target(context, "alice", "hard.html")).st_nlink == 2
    assert (
        os.stat(target(context, "orphan")).st_uid not in (777, 70501)
        and not target(context, "s").exists()
        and not target(context, "alice", "left.tmp").exists()
    )
    before = os.stat(target(context, "alice", "index.html")).st_ino
    assert _phases.run(context, "files")["action"] == "nothing" and os.stat(target(context, "alice", "index.html")).st_ino == before


def test_check_mode_copies_nothing(context):
    ran = _phases.run(context, "files", check=True)
    assert ran["document"]["counts"]["copied"] >= 4 and not target(context).exists() and not os.path.exists(context.path("files.d"))


def test_a_damaged_copy_is_told_by_the_verification(context, monkeypatch):
    """What the disk holds is changed between the copy and the reading back."""
    real = files._verify.verify

    def damaged(top, *args, **more):
        path = target(context, "alice", "index.html")
        times = path.stat()
        path.write_text("jello")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return real(top, *args, **more)

    monkeypatch.setattr(files._verify, "verify", damaged)
    document = _phases.run(context, "files")["document"]
    assert document["counts"]["differences"] >= 1 and any(f["severity"] == "blocker" and "index.html" in f["subject"] for f in document["findings"])


def test_a_copy_that_was_killed_goes_on(context):
    for number in range(3000):
        make(Path(context.root, "home", "alice", "many", "%d" % (number % 30), "f%d" % number), "%d" % number * 200)
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER % COLLECTIONS, context.root, context.directory, json.dumps(context.settings)], stderr=subprocess.PIPE
    )
    until = time.monotonic() + 20
    while not target(context, "alice").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert context.document("files")["status"] == "running"
    ran = _phases.run(context, "files")
    assert ran["action"] == "continue" and ran["document"]["counts"]["differences"] == 0
    assert sum(1 for path in target(context, "alice", "many").rglob("f*")) == 3000
    assert not [name for _top, folders, names in os.walk(target(context)) for name in folders + names if name.startswith(".intact-") and "aside" not in name]


def test_a_tree_that_was_through_is_not_read_again_after_a_kill(context, tmp_path):
    context.settings["trees"].append({"from": "/srv", "to": str(tmp_path / "new" / "srv")})
    make(Path(context.root, "srv", "a"))
    _phases.run(context, "files")
    context.save(dict(context.document("files"), status="running"))
    os.unlink(context.path("files.d", "srv.json"))
    before = os.stat(context.path("files.d", "home.gz")).st_mtime_ns, os.stat(context.path("files.d", "srv.gz")).st_mtime_ns
    ran = _phases.run(context, "files")
    after = os.stat(context.path("files.d", "home.gz")).st_mtime_ns, os.stat(context.path("files.d", "srv.gz")).st_mtime_ns
    assert ran["action"] == "continue" and ran["document"]["counts"]["trees"] == 2 and before[0] == after[0] and before[1] != after[1]


@pytest.mark.parametrize("way", ["forced", "another map"])
def test_a_run_that_is_cut_does_not_go_on_with_the_word_of_the_one_before(context, tmp_path, monkeypatch, way):
    context.settings["trees"].append({"from": "/srv", "to": str(tmp_path / "new" / "srv")})
    make(Path(context.root, "srv", "a"), "right")
    _phases.run(context, "files")
    damaged = tmp_path / "new" / "srv" / "a"
    same_times(damaged, lambda: damaged.write_text("wrong"))
    number = 70501
    if way == "another map":
        number = 70502
        identity = json.loads(Path(context.path("identity.json")).read_text())
        identity["uids"]["501"] = identity["users"]["alice"]["new"] = number
        Path(context.path("identity.json")).write_text(json.dumps(identity))
        context = _context.Context(context.root, context.directory, context.settings, phase="files")
    run, begun = files._one, []

    def cut(context, tree, *more):
        begun.append(tree["from"])
        if tree["from"] == "/srv":
            raise IntactError("cut")
        return run(context, tree, *more)

    monkeypatch.setattr(files, "_one", cut)
    with pytest.raises(IntactError, match="cut"):
        _phases.run(context, "files", force=way == "forced")
    monkeypatch.undo()
    before = os.stat(context.path("files.d", "srv.gz")).st_mtime_ns
    ran = _phases.run(context, "files")
    assert begun == ["/home", "/srv"] and ran["action"] == "continue" and ran["document"]["status"] == "done"
    assert os.stat(context.path("files.d", "srv.gz")).st_mtime_ns != before and os.stat(damaged).st_uid == number


def test_a_directory_above_the_target_that_is_a_customers_is_refused(context, tmp_path):
    (tmp_path / "new").mkdir()
    os.chown(tmp_path / "new", 70501, 70501)
    with pytest.raises(IntactError, match="is not root's directory"):
        _phases.run(context, "files")


def test_a_home_that_lies_nowhere_is_told(context):
    make(Path(context.root, "etc", "passwd"), "bob:x:502:502::/var/lib/bob:/bin/sh\n", 0)
    make(Path(context.root, "var", "lib", "bob", "x"))
    found = [f for f in _phases.run(context, "files")["document"]["findings"] if f["id"] == "files.not_brought"]
    assert [f["subject"] for f in found] == ["/var/lib/bob"]


def seen(context):
    """{(change, subject, attribute)} that nothing explains, and the row."""
    lines = context.document("files")["explained"]
    row, found = reconcile.one(context, "files", Explained("files", (), lines), (1, "x"))
    out = set()
    for line in Path(row["list"]).read_text().splitlines():
        difference = json.loads(line)
        if not difference["reason"]:
            out.add((difference["change"], difference["subject"], difference["attribute"]))
    assert row["looked"], [f.as_dict() for f in found]
    assert bool(out) == bool(found)
    return out, row


def test_a_whole_copy_reconciles_with_what_was_left_out_explained(context):
    _phases.run(context, "files")
    out, row = seen(context)
    assert out == set() and row["explained"] == 1 and row["reasons"][0]["subjects"] == ["/home/alice/left.tmp"]
    assert row["sums"]["links"] == [1, 1] and row["old"] > 5


def same_times(path, change):
    times = path.stat(follow_symlinks=False) if sys.version_info >= (3, 10) else os.lstat(path)
    change()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)


MUTATIONS = {
    "content of the same size and time": (
        lambda p: same_times(p / "alice/index.html", lambda: (p / "alice/index.html").write_text("jello")),
        ("changed", "/home/alice/hard.html", "digest"),
    ),
    "another owner": (lambda p: os.chown(p / "alice/run.sh", 0, 70501), ("metadata", "/home/alice/run.sh", "uid")),
    "rights": (lambda p: (p / "alice/index.html").chmod(0o666), ("metadata", "/home/alice/index.html", "mode")),
    "setuid lost": (lambda p: (p / "alice/run.sh").chmod(0o755), ("metadata", "/home/alice/run.sh", "mode")),
    "time": (lambda p: os.utime(p / "orphan", (1, 1)), ("metadata", "/home/orphan", "mtime")),
    "gone": (lambda p: (p / "orphan").unlink(), ("missing", "/home/orphan", "")),
    "more": (lambda p: (p / "new").write_text("x"), ("extra", "/home/new", "since")),
    "a hard link cut": (
        lambda p: same_times(p / "alice/hard.html", lambda: ((p / "alice/hard.html").unlink(), make(p / "alice/hard.html", "hello", 70501))),
        ("metadata", "/home/alice/index.html", "hardlink"),
    ),
    "a link that leads elsewhere": (
        lambda p: ((p / "alice/evil").unlink(), os.symlink("/etc/passwd", p / "alice/evil")),
        ("changed", "/home/alice/evil", "target"),
    ),
    "moved": (lambda p: (p / "alice/run.sh").rename(p / "alice/ran.sh"), ("missing", "/home/alice/run.sh", "now at")),
    "an attribute": (lambda p: os.setxattr(p / "orphan", "user.x", b"1"), ("metadata", "/home/orphan", "xattr")),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_after_the_migration_is_found(context, name):
    _phases.run(context, "files")
    change, expected = MUTATIONS[name]
    change(target(context))
    out, _row = seen(context)
    assert expected in out


def test_asked_for_again_it_repairs_what_does_not_even_look_changed(context):
    _phases.run(context, "files")
    path = target(context, "orphan")
    same_times(path, lambda: path.write_text("wha"))
    assert ("changed", "/home/orphan", "digest") in seen(context)[0]
    assert _phases.run(context, "files", force=True)["action"] == "again"
    assert path.read_text() == "who" and seen(context)[0] == set()


def test_what_was_there_before_the_migration_is_explained(context):
    target(context).mkdir(parents=True)
    target(context, "admin").write_text("x")
    time.sleep(0.05)
    about = context.about()
    Path(context.path("migration.json")).write_text(json.dumps(dict(about, started=_context._flight.now())))
    _phases.run(context, "files")
    out, row = seen(context)
    assert out == set() and "before the migration" in json.dumps(row["reasons"])


def test_owners_are_told_by_the_account_that_is_really_here(context):
    """The map says one number, the account that was made has another: the copy's own verification can't see that, this class does."""
    identity = json.loads(Path(context.path("identity.json")).read_text())
    identity["users"]["alice"]["name"] = "nobody"
    Path(context.path("identity.json")).write_text(json.dumps(identity))
    _phases.run(context, "files")
    assert ("metadata", "/home/alice/index.html", "uid") in seen(context)[0]


def test_what_dovecot_does_to_a_maildir_is_explained_and_a_lost_message_is_not(context):
    box = Path(context.root, "home", "alice", "Maildir")
    for name in ("new/1.a", "cur/2.a:2,S", "cur/3.a:2,"):
        make(box / name, name)
    make(box / "dovecot-uidlist", "1")
    _phases.run(context, "files")
    here = target(context, "alice", "Maildir")
    (here / "new" / "1.a").rename(here / "cur" / "1.a:2,")
    (here / "cur" / "2.a:2,S").rename(here / "cur" / "2.a:2,RS")
    (here / "dovecot-uidlist").write_text("2")
    make(here / "new" / "9.b", "new mail", 70501)
    assert seen(context)[0] == set()
    (here / "cur" / "3.a:2,").unlink()
    assert {d[:2] for d in seen(context)[0]} == {("missing", "/home/alice/Maildir/cur/3.a:2,")}


@pytest.mark.parametrize("name", ["dovecot-2.3/src/main.c", "dovecot.backup", "site/dovecot-howto.html", "dovecot.index.d/letter", "Maildir/dovecot.sieve"])
def test_what_is_only_called_like_dovecots_own_is_compared(context, name):
    make(Path(context.root, "home", "alice", name), "right")
    _phases.run(context, "files")
    path = target(context, "alice", name)
    same_times(path, lambda: path.write_text("wrong"))
    assert seen(context)[0] == {("changed", "/home/alice/" + name, "digest")}
    path.unlink()
    assert ("missing", "/home/alice/" + name, "") in seen(context)[0]


def test_a_part_that_can_not_be_read_is_no_equal_one(context, monkeypatch):
    _phases.run(context, "files")
    real = _class_files._manifest.Manifest._body

    def broken(self, fd, path, state):
        if path == b"orphan":
            raise OSError(5, "Input/output error")
        return real(self, fd, path, state)

    monkeypatch.setattr(_class_files._manifest.Manifest, "_body", broken)
    row, found = reconcile.one(context, "files", Explained("files"), (1, "x"))
    assert not row["looked"] and found[0].id == "reconciliation.files.failed"
