# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each post-flight check: silent on a healthy host, and one finding with its subject on a broken one."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._checks import Check
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._postflight import databases, journal, mail, packages, release
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context, perform
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

PATH = {
    "target": {"id": "debian", "version": "13", "codename": "trixie"},
    "suites": {"bookworm": "trixie", "bookworm-updates": "trixie-updates"},
}
TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def told(findings):
    return [(f.id, f.severity, f.subject) for f in findings]


def test_target_reached():
    healthy = Context(FakeSystem(files={"/etc/os-release": TRIXIE}), PATH)
    assert release.target_reached(healthy) == []
    old = Context(FakeSystem(files={"/etc/os-release": TRIXIE.replace("13", "12").replace("trixie", "bookworm")}), PATH)
    assert told(release.target_reached(old)) == [("release.unreached", "blocker", "debian 13")]
    assert "bookworm" in release.target_reached(old)[0].evidence


@pytest.mark.parametrize(
    "kernels, running, expected",
    [
        ([], "6.18.44", [("kernel.none", "info", "kernel 6.18.44")]),
        (["6.1.0-9-amd64", "6.1.0-37-amd64"], "6.1.0-37-amd64", []),
        (["6.1.0-9-amd64", "6.1.0-37-amd64"], "6.1.0-9-amd64", [("kernel.old", "blocker", "kernel 6.1.0-9-amd64")]),
    ],
)
def test_kernel(kernels, running, expected):
    host = FakeSystem(commands={"uname -r": running + "\n"}, files={"/boot/vmlinuz-" + k: b"" for k in kernels})
    assert told(release.kernel(Context(host, PATH))) == expected


@pytest.mark.parametrize(
    "listed, update, expected",
    [
        ("trixie|trixie|stable|http://m/\n", (0, ""), []),
        ("bookworm-updates|bookworm-updates|x|http://m/\n", (0, ""), [("sources.old", "blocker", "http://m/ bookworm-updates")]),
        ("trixie|trixie|stable|http://m/\n", (100, "", "E: no Release file"), [("sources.update", "warning", "apt-get update")]),
    ],
)
def test_sources_committed(listed, update, expected):
    host = FakeSystem(commands={"apt-get indextargets": listed, "apt-get -q update": update})
    assert told(release.sources_committed(Context(host, PATH, {"scratch": "/scratch"}))) == expected
    update_call = [c for c in host.calls if "update" in c][0]
    assert "Dir::State::lists=/scratch" in update_call  # the live package lists stay as they are


@pytest.mark.parametrize(
    "audit, check, left, subjects",
    [
        ("", (0, ""), [], []),
        ("php8.4-fpm half configured", (0, ""), [], ["dpkg --audit"]),
        ("", (100, "", "E: Unmet dependencies"), [], ["apt-get check"]),
        ("", (0, ""), ["/var/lib/dpkg/updates/0001"], ["/var/lib/dpkg/updates"]),
    ],
)
def test_database_clean(audit, check, left, subjects):
    host = FakeSystem(commands={"dpkg --audit": audit, "apt-get -q check": check}, files=dict.fromkeys(left, b"x"))
    found = packages.database_clean(Context(host))
    assert [f.subject for f in found] == subjects
    assert all(f.severity == "blocker" for f in found)


def test_all_from_target_names_what_stayed_behind():
    text = "Inst libfoo1 [1.0-1] (2.0-1 Debian:13.7/stable [amd64])\nConf libfoo1 (2.0-1 Debian:13.7/stable [amd64])\n"
    found = packages.all_from_target(Context(FakeSystem(commands={"apt-get -s": text})))
    assert told(found) == [("packages.behind", "warning", "libfoo1")]
    assert packages.all_from_target(Context(FakeSystem(commands={"apt-get -s": "0 upgraded\n"}))) == []


def residue(path, options, suffix=".dpkg-dist"):
    host = FakeSystem(
        commands={"find /etc": (0, (path + suffix).encode() + b"\0")},
        files={path: b"old\nPassword secret\n", path + suffix: b"new\n"},
    )
    return packages.conffile_residue(Context(host, options=options))


def test_conffile_residue_is_decided_by_name_by_file_or_by_policy():
    keep = {"path": "/etc/ssh/*", "decision": "keep", "reason": "ours"}
    assert told(residue("/etc/ssh/sshd_config", {})) == [("conffiles.undecided", "blocker", "/etc/ssh/sshd_config.dpkg-dist")]
    assert told(residue("/etc/nginx/nginx.conf", {}))[0][1] == "warning"
    for options in ({"conffiles": [keep]}, {"conffile_default": "keep"}, {"target_files": ["/etc/ssh/sshd_config"]}):
        assert told(residue("/etc/ssh/sshd_config", options))[0][:2] == ("conffiles.residue", "info")
    # a copy of the old file locks nobody out
    assert residue("/etc/ssh/sshd_config", {}, ".dpkg-old")[0].severity == "warning"


def test_conffile_residue_shows_no_content():
    assert "secret" not in json.dumps([f.as_dict() for f in residue("/etc/ssh/sshd_config", {})])


@pytest.mark.parametrize(
    "ping, needed, expected",
    [
        ((0, "alive"), (1, ""), []),
        ((0, "alive"), (0, "Version check failed"), [("databases.upgrade.pending", "blocker", "MariaDB")]),
        ((1, "", "connect failed"), (1, ""), [("databases.down", "blocker", "MariaDB")]),
    ],
)
def test_mariadb(ping, needed, expected):
    host = FakeSystem(
        commands={
            ("/usr/bin/mariadb-upgrade",): needed,
            ("/usr/bin/mariadb-admin",): ping,
            ("mariadbd",): "",
        }
    )
    assert told(databases.mariadb_upgraded(Context(host))) == expected


def test_no_database_server_no_finding():
    assert databases.mariadb_upgraded(Context(FakeSystem())) == []
    assert databases.postgresql_clusters(Context(FakeSystem())) == []


def test_postgresql_clusters():
    text = "15 main 5432 online postgres /a /b\n17 main 5433 down postgres /c /d\n"
    host = FakeSystem(commands={("/usr/bin/pg_lsclusters",): text})
    assert told(databases.postgresql_clusters(Context(host))) == [
        ("databases.old", "info", "PostgreSQL 15/main"),
        ("databases.down", "blocker", "PostgreSQL 17/main"),
    ]


@pytest.mark.parametrize(
    ("start", "expected"),
    [("manual\n", ("databases.off", "info", "PostgreSQL 15/main")), ("# manual\nauto\n", ("databases.down", "blocker", "PostgreSQL 15/main"))],
)
def test_a_cluster_that_was_upgraded_stays_behind_switched_off(start, expected):
    """It was a blocker on every server whose clusters were upgraded (seen on shop1)."""
    text = "15 main 5433 down postgres /d /l\n17 main 5432 online postgres /d /l\n"
    host = FakeSystem(commands={("/usr/bin/pg_lsclusters",): text}, files={"/etc/postgresql/15/main/start.conf": "# how\n" + start})
    assert told(databases.postgresql_clusters(Context(host))) == [expected]


def mail_host(search):
    return FakeSystem(commands={"postfix": "", "doveadm search": search, "doveadm fetch": "hdr: \nFrom: <a@b>\nX-Spam-Flag: NO\n\n\f\n", "doveadm expunge": ""})


def test_delivery_sends_finds_and_removes():
    sent = []
    host = mail_host("0123 5\n")
    context = Context(host, options={"mail_recipient": "probe@example.com", "mail_seconds": 5}, clock=Clock())
    assert mail.delivery(context, lambda *a: sent.append(a) or "") == []
    assert sent[0][3] == "probe@example.com" and sent[0][4].endswith(mail.DOMAIN)
    assert [c[-2:] for c in host.calls if "search" in c] == [("Message-ID", sent[0][4])]
    assert context.seen["headers"] == "From: <a@b>\nX-Spam-Flag: NO\n\n"
    # what a look that was cut had left goes as well
    assert [c for c in host.calls if "expunge" in c] == [("doveadm", "expunge", "-u", "probe@example.com", *mail.PROBES)]
    assert mail.PROBES[-2:] == ["X-Intact-Probe", mail.DOMAIN]


def test_delivery_that_never_arrives_or_is_refused():
    context = Context(mail_host(""), options={"mail_recipient": "probe@example.com", "mail_seconds": 5}, clock=Clock())
    assert told(mail.delivery(context, lambda *a: "")) == [("mail.delivery.failed", "blocker", "probe@example.com")]
    found = mail.delivery(context, lambda *a: "SMTPConnectError: (421, b'')")
    assert "421" in found[0].evidence


def test_delivery_without_a_mailbox_is_told():
    assert told(mail.delivery(Context(mail_host("")))) == [("mail.delivery.unproven", "warning", "mail delivery")]


def lines(*entries):
    return "\n".join(json.dumps({"SYSLOG_IDENTIFIER": unit, "MESSAGE": text}) for unit, text in entries)


def test_new_errors_are_told_once_per_kind():
    def answer(argv, stdin):
        if "--until" in argv:
            return lines(("named", "client 10.0.0.1#53 denied"))
        return lines(("named", "client 10.0.0.9#99 denied"), ("nginx", "worker 12 segfault"), ("nginx", "worker 99 segfault"))

    host = FakeSystem(commands={"journalctl": answer, "systemctl show": "Sun 2026-11-22 12:00:00 UTC\n"})
    found = journal.new_errors(Context(host, opened="2026-11-22T11:00:00.000Z"))
    assert [(f.id, f.subject) for f in found] == [("logs.new", "nginx: worker N segfault")]
    assert "2 times" in found[0].title


def test_signatures_survive_binary_messages_and_torn_lines():
    text = json.dumps({"SYSLOG_IDENTIFIER": "x", "MESSAGE": [255, 65]}) + "\n{torn"
    assert list(journal.signatures(text)) == ["x: \\xffA"]


def test_a_check_that_breaks_is_a_blocker():
    def broken(context):
        raise IntactError("no answer")

    def defect(context):
        raise KeyError("oops")

    findings, checks = perform((Check("QF98", "a", broken), Check("QF99", "b", defect)), Context(None))
    assert [(f.id, f.severity, f.check) for f in findings] == [("postflight.unchecked", "blocker", "QF98"), ("postflight.unchecked", "blocker", "QF99")]
    assert [c["check"] for c in checks] == ["QF98", "QF99"]
