# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What restic's ends mean: real messages of restic 0.14 (directory restic_said), and the documented ones of others."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _listing, _locks, _outcome, _restic, _ssh, _watch
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SAID = os.path.join(os.path.dirname(__file__), "restic_said")


def said(name, ending=".txt"):
    with open(os.path.join(SAID, name + ending), "rb") as handle:
        return handle.read()


RETRYING = "Save(<data/35>) returned error, retrying after 552ms: "


@pytest.mark.parametrize(
    ("rc", "text", "kind"),
    [
        (0, "", "ok"),
        (0, "could not load snapshot e102769c: load <snapshot/e102769c65>: invalid data returned", "damaged"),
        (0, 'Ignoring "latest", no snapshot matched given filter (Paths:[] Tags:[] Hosts:[])', "damaged"),
        (3, "Warning: at least one source file could not be read", "partial"),
        (10, "anything", "no-repository"),
        (11, "anything", "locked"),
        (12, "anything", "wrong-password"),
        (130, "", "interrupted"),
        (-9, "", "interrupted"),
        (1, "", "failed"),
        (2, "panic: runtime error", "failed"),
        (77, "a code of tomorrow", "failed"),
        (1, "Fatal: wrong password or no key found", "wrong-password"),
        (
            1,
            "Fatal: unable to open config file: stat nope/config: no such file or directory\nIs there a repository at the following location?\nnope",
            "no-repository",
        ),
        (1, "Fatal: unable to open config file: <config/> does not exist\nIs there a repository at the following location?", "no-repository"),
        (1, "Fatal: unable to open config file: unexpected HTTP response (401): 401 Unauthorized\nIs there a repository at the", "wrong-password"),
        (1, 'Head "http://127.0.0.1:9/config": dial tcp 127.0.0.1:9: connect: connection refused\nIs there a repository at the', "unreachable"),
        (1, "ssh: connect to host x port 22: Connection refused\nFatal: unable to start the sftp session, error: EOF", "unreachable"),
        (1, "subprocess ssh: root@x: Permission denied (publickey).\nFatal: unable to start the sftp session", "wrong-password"),
        (1, "unable to create lock in backend: repository is already locked by PID 3269 on vm by root (UID 0, GID 0)", "locked"),
        (1, "write full/r/locks/89-tmp: no space left on device\nunable to create lock in backend", "full"),
        (1, RETRYING + "server response unexpected: 500 Internal Server Error (500)\n" + RETRYING + "server response unexpected: 403 Forbidden (403)", "full"),
        (1, 'Save(<lock/07>) returned error, retrying after 552ms: Write: sftp: "Failure" (SSH_FX_FAILURE)\nunable to create lock in backend', "full"),
        (1, RETRYING + "server response unexpected: 507 Insufficient Storage (507)", "full"),
        (1, RETRYING + 'Post "http://x/data": write tcp: use of closed network connection\n' + RETRYING + "403 Forbidden (403)", "unreachable"),
        (1, "unable to remove <snapshot/f5> from the repository\nblob not removed, server response: 403 Forbidden (403)", "refused"),
        (1, "Fatal: unable to open config file: x509: certificate has expired or is not yet valid: current time", "clock"),
        (1, "RequestTimeTooSkewed: The difference between the request time and the server's time is too large.", "clock"),
        (1, "Fatal: config or key e888 is damaged: ciphertext verification failed", "damaged"),
        (1, "Load(<data/c6edadca57>, 0, 0) returned error, retrying after 552ms: open data/c6: no such file or directory", "damaged"),
    ],
)
def test_every_end_has_one_kind(rc, text, kind):
    assert _outcome.classify(rc, text) == kind
    assert kind in _outcome.KINDS


def test_what_we_ended_ourselves_is_told_by_why():
    assert _outcome.classify(0, "", "aborted") == "interrupted"
    assert _outcome.classify(130, "Remove(<lock/3c>) returned error, retrying: connection refused", "gave-up") == "unreachable"
    assert _outcome.classify(130, "", "gave-up") == "unreachable"


def test_a_kind_becomes_a_finding_that_names_repository_class_and_object():
    for kind in _outcome.IDS:
        found = _outcome.Outcome(kind, 1, "Fatal: x").findings("vault", "files", "snapshot 12")
        assert [finding.id for finding in found] == [_outcome.IDS[kind]]
        assert found[0].subject == "vault files snapshot 12"
        assert found[0].evidence == "Fatal: x (status 1)"
    assert _outcome.Outcome("ok", 0).findings("vault", "files") == []


def test_partial_is_never_a_success_and_names_every_file():
    outcome = _outcome.Outcome("partial", 3, unreadable=[(b"/srv/l\xe4\n", "open Permission denied")])
    assert not outcome.ok
    found = outcome.findings("vault", "files")
    assert [(finding.id, finding.subject) for finding in found] == [("backup.source.unreadable", "vault files /srv/l\\xe4\\x0a")]
    assert [finding.id for finding in _outcome.Outcome("partial", 3).findings("vault", "files")] == ["backup.snapshot.incomplete"]


def test_errors_of_both_shapes_and_missing_sources():
    text = "\n".join(
        [
            '{"message_type":"error","error":{},"during":"scan","item":"/un/sub"}',
            '{"message_type":"error","error":{"Op":"open","Path":"/un/b","Err":13},"during":"archival","item":"/un/b"}',
            '{"message_type":"error","error":{"message":"read /un/c: input/output error"},"during":"archival","item":"/un/c"}',
            "/tmp/none does not exist, skipping",
            "Warning: at least one source file could not be read",
        ]
    )
    assert _outcome.errors(text) == [
        ("/tmp/none", "does not exist"),
        ("/un/b", "archival: open Permission denied"),
        ("/un/c", "archival: read /un/c: input/output error"),
        ("/un/sub", "scan: no reason given"),
    ]


def test_evidence_leaves_out_traces_and_repetitions():
    lines = [RETRYING + "server response unexpected: 500", RETRYING + "403 Forbidden", "Fatal: no", "github.com/restic/x", "\tgithub.com/x.go:3", "main.main"]
    assert _outcome.Outcome("full", 1, "\n".join(lines)).evidence == "Fatal: no; tried 2 times: %sserver response unexpected: 500 (status 1)" % RETRYING
    assert _outcome.Outcome("interrupted", -9).evidence == "no message (killed by signal 9)"


@pytest.mark.parametrize(
    ("name", "kinds", "word"),
    [
        ("check-flipped-pack", {"pack"}, "does not match"),
        ("check-missing-pack", {"pack"}, "does not exist"),
        ("check-truncated-pack", {"pack"}, "unexpected file size"),
        ("check-missing-index", {"tree"}, "not found in repository"),
        ("check-flipped-index", {"index"}, "invalid data"),
        ("check-flipped-snapshot", {"snapshot"}, "invalid data"),
        ("check-flipped-config", {"key"}, "is damaged"),
    ],
)
def test_a_check_names_what_is_damaged(name, kinds, word):
    text = said(name).decode()
    signs = _check.damaged(text)
    assert signs and {kind for kind, _id, _why in signs} == kinds
    assert all(word in why for _kind, _id, why in signs)
    assert _outcome.classify(1, text) == "damaged"
    assert (_check.uncounted(text) > 0) == (name == "check-missing-index")


def test_names_survive_the_listing():
    plain = said("ls-plain", ".bin").split(b"\n")[:-1]
    entries = list(_listing.exact(_listing.nodes(said("ls-json").splitlines()), lambda: iter(plain)))
    names = {os.path.basename(entry["path"]) for entry in entries}
    assert {
        b"new\nline",
        b"latin1-\xe4\xf6",
        b"bad\xff\xfe\nboth",
        b"x" * 255,
        b"\xe4" * 255,
        "repl\ufffdchar".encode(),
        b" lead trail ",
        b"star*[a]?\\",
    } <= names
    assert b"\n".join(entry["path"] for entry in entries) == b"\n".join(plain)
    assert {entry["type"] for entry in entries} == {"dir", "file", "fifo", "symlink"}


def test_two_listings_that_differ_are_no_listing():
    with pytest.raises(Exception, match="differ"):
        list(_listing.exact([{"path": "/a\ufffd", "type": "file"}], lambda: iter([b"/b\xff"])))


def test_lines_are_parsed_together_and_judged_alone(monkeypatch):
    monkeypatch.setattr(_listing, "MANY", 2)
    lines = [b'{"struct_type":"node","path":"/%d"}\n' % number for number in range(5)] + [b"\n"]
    assert [entry["path"] for entry in _listing.nodes([b'{"struct_type":"snapshot","id":"ab"}\n', *lines])] == ["/0", "/1", "/2", "/3", "/4"]
    for torn in ([lines[0], b'{"path":"/x\n'], [b'{"a":[1', b"2]}"], [b'{"a":1},{"b":2}', b" "]):
        with pytest.raises(IntactError, match="no JSON"):
            list(_listing.nodes(torn))


def test_a_name_is_found_again_on_the_disk():
    tree = {b"/": [b"l\xe4", b"l\xe4\xe4"], b"/l\xe4": [b"a\xff", b"a\xfe"]}
    assert _listing.find_exact("/l\ufffd", lambda path: tree[path]) == b"/l\xe4"
    # two names that JSON tells alike
    assert _listing.find_exact("/l\ufffd/a\ufffd", lambda path: tree[path]) == "/l\ufffd/a\ufffd".encode()
    assert _listing.globless(b"/a*b[c]") == b"/a\\*b\\[c]"
    assert _listing.globless(b"/a\nb") is None


def test_only_locks_of_our_own_dead_processes_are_dead():
    now = 1795361124.0
    lock = {"time": "2026-11-22T15:25:24.897593137Z", "hostname": "web1", "pid": 3}
    dead, kept, harm = _locks.judge([lock, dict(lock, pid=4), dict(lock, hostname="vault")], "web1", now, lambda pid: pid == 4)
    assert [(entry["pid"], entry["hostname"]) for entry in dead] == [(3, "web1")]
    assert [entry["why"].split()[0] for entry in kept] == ["process", "held"]
    assert not harm
    # a clock that is off by a day makes restic think that all are stale
    assert _locks.judge([dict(lock, hostname="vault")], "web1", now + 86400, lambda pid: False)[2]
    assert not _locks.alive(2**22 + 1)


def test_versions_and_ssh():
    assert _restic.parse_version("restic 0.14.0 compiled with go1.19.8 on linux/amd64") == (0, 14, 0)
    with pytest.raises(Exception, match="program"):
        _restic.parse_version("borg 1.2")
    command = _ssh.command("sftp:backup@vault2:/srv/r", "/etc/intact/backup/id", "/etc/intact/backup/known hosts")
    assert command.endswith("-i /etc/intact/backup/id -l backup -s vault2 sftp")
    assert "BatchMode=yes" in command and "StrictHostKeyChecking=yes" in command and "'UserKnownHostsFile=/etc/intact/backup/known hosts'" in command
    assert " -p 2222 -l u -s h sftp" in _ssh.command("sftp://u@h:2222//srv/r")


def test_progress_is_told_at_most_every_two_seconds_and_a_stall_ends_the_call():
    clock, told = [0.0], []

    class Call:
        stopped = ""

        def stop(self, why):
            self.stopped = why

    watch = _watch.Watch(told.append, 60, lambda: clock[0])
    watch.call = Call()
    for second in range(5):
        clock[0] = float(second)
        watch.line(b'{"message_type":"status","seconds_remaining":9223372036854775808,"total_files":2,"bytes_done":%d,"total_bytes":9}' % second)
    assert [entry["bytes"] for entry in told] == [0, 2, 4]
    assert told[0]["eta"] is None
    clock[0] = 100.0
    watch.line(b'{"message_type":"status","total_files":2,"bytes_done":4,"total_bytes":9}')
    assert watch.call.stopped == "gave-up"
    watch.line(b'{"message_type":"summary","snapshot_id":"7ab7e6ab"}')
    assert watch.summary["snapshot_id"] == "7ab7e6ab"
