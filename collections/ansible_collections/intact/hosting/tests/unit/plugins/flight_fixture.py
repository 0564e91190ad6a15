# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A flight's directory as an upgrade of a hosting server leaves it: what report tests draw. `python flight_fixture.py DIRECTORY` writes one."""

from __future__ import annotations

import datetime
import json
import os
import sys

from ansible_collections.intact.hosting.plugins.module_utils import _files, _findings

ID = "web1-upgrade-20261122t1134z"
BEGIN = datetime.datetime(2026, 11, 22, 11, 34, 5, tzinfo=datetime.timezone.utc)
HOSTILE = "/home/mallory/<script>alert(1)</script>&\"'\\x0a.php"
STAGES = (  # name, seconds, budget
    ("bind", 2, 30),
    ("quiesce", 4, 60),
    ("patch-source", 21, 300),
    ("stage-sources", 7, 60),
    ("download", 9, 600),
    ("simulate", 6, 60),
    ("point-of-no-return", 1, 0),
    ("database-stop", 5, 60),
    ("bootstrap", 31, 300),
    ("carry", 2, 60),
    ("minimal", 69, 600),
    ("full", 204, 1200),
    ("target-files", 3, 60),
    ("database-upgrade", 8, 300),
    ("commit-sources", 2, 30),
    ("residue", 1, 30),
    ("autoremove", 9, 120),
    ("reboot", 38, 300),
    ("unquiesce", 3, 60),
    ("cleanup", 2, 60),
)
SUMMARIES = {
    "disks": {"disks": 2, "bytes": 64424509440},
    "mounts": {"mounts": 6, "swaps": 1},
    "network": {"interfaces": 2, "addresses": 3, "routes": 4},
    "resolver": {"servers": 1},
    "accounts": {"accounts": 41, "groups": 66, "people": 12},
    "packages": {"packages": 512, "held": 1},
    "integrity": {"files that differ": 0, "files that are missing": 0},
    "services": {"units": 148, "active": 39},
    "runtimes": {"ways to run PHP": 2, "Python environments": 1},
    "sockets": {"listeners": 24},
    "sites": {"sites": 5},
    "tls": {"certificates": 4},
    "mail": {"mailboxes": 8, "messages": 412, "bytes": 18874368},
    "queue": {"waiting": 1},
    "lists": {"lists": 2, "members": 31},
    "dns": {"zones": 3, "records": 58},
    "databases": {"databases": 5, "tables": 43, "rows": 212345},
    "cron": {"jobs": 17, "timers": 11},
    "rotation": {"logs": 14, "errors": 0},
    "firewall": {"rules": 22},
    "confinement": {"enforced profiles": 9, "confined daemons": 2},
    "sysctl": {"settings": 9},
    "files": {"files": 14211, "bytes": 3221225472},
    "resources": {"processes": 88},
}
VERSIONS = (
    ("base-files", "12.4+deb12u11", "13.8+deb13u1"),
    ("bind9", "1:9.18.33-1~deb12u2", "1:9.20.11-4"),
    ("dovecot-core", "1:2.3.19.1+dfsg1-2.1", "1:2.4.1+dfsg1-6"),
    ("libc6", "2.36-9+deb12u10", "2.41-12"),
    ("mariadb-server", "1:10.11.11-0+deb12u1", "1:11.8.3-0+deb13u1"),
    ("nginx", "1.22.1-9", "1.26.3-3"),
    ("openssh-server", "1:9.2p1-2+deb12u6", "1:10.0p1-7"),
    ("postfix", "3.7.11-0+deb12u1", "3.10.3-2"),
    ("postgresql", "15+248", "17+278"),
    ("python3", "3.11.2-1+b1", "3.13.5-1"),
)
OUTAGES = (  # name, kind, interval, [(start second, seconds, reason)]
    ("IMAP", "imap", 0.2, [(171.0, 157.4, "connection refused")]),
    ("IMAPS login", "imap", 0.2, [(171.0, 158.1, "connection refused")]),
    ("https://blog.example.com", "http", 0.2, [(214.0, 93.2, "status 502"), (441.0, 12.0, "no route to host")]),
    ("https://shop.example.com", "http", 0.2, [(214.2, 92.8, "status 502"), (441.0, 12.1, "no route to host")]),
    ("https://static.example.com", "http", 0.2, [(441.0, 11.6, "no route to host")]),
    ("SMTP", "smtp", 0.2, [(233.0, 3.0, "connection refused"), (441.0, 13.9, "no route to host")]),
    ("MariaDB login", "mysql", 0.2, [(97.0, 34.5, "connection refused"), (441.0, 14.4, "no route to host")]),
    ("PostgreSQL login", "postgresql", 0.2, [(251.0, 9.9, "connection refused")]),
    ("zone example.com", "dns", 0.2, [(301.0, 1.1, "no answer in time")]),
    ("zone example.net", "dns", 0.2, []),
    ("ssh", "ssh", 3.0, []),
)


def at(seconds):
    """Stamp of a moment of the flight."""
    return (BEGIN + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finding(name, severity, subject, title, **more):
    return _findings.Finding(id=name, severity=severity, subject=subject, title=title, **more)


WAIVER = {"id": "backup.proof.missing", "subject": "web1", "reason": "the provider took a snapshot, ticket 4711", "who": "Ada", "expires": "2026-12-01"}
BEFORE = [
    finding(
        "backup.proof.missing",
        "blocker",
        "web1",
        "no proof of a restorable backup",
        evidence="no document in /var/lib/intact/proofs",
        remedy="run playbooks/drill-restore.yml",
        check="PF33",
    ),
    finding(
        "packages.held",
        "warning",
        "mariadb-backup",
        "held package keeps its version",
        evidence="held since 2025",
        remedy="decide in preflight_accepted_holds",
        check="PF06",
    ),
    finding("space.enough", "info", "/var", "space is enough", evidence="4.1 GiB needed, 17.2 GiB free", check="PF13"),
]
AFTER = [
    finding(
        "conffiles.residue",
        "warning",
        "/etc/dovecot/conf.d/10-auth.conf.ucf-dist",
        "the maintainer's version was left beside yours",
        evidence="kept by the policy of the flight",
        remedy="compare both and remove the copy",
        check="QF32",
    ),
    finding("resources.slower", "info", "https://blog.example.com", "answers in 61 ms, 58 ms before", check="QF39"),
]
LOSS = [
    finding(
        "mail.folder.missing",
        "blocker",
        "ada@example.com Archive/2019",
        "a folder with 212 messages is gone",
        evidence="before: 212 messages, 9.1 MiB; after: no such folder",
        remedy="restore /home/vmail/ada/.Archive.2019 from the backup",
        details={"change": "missing", "attribute": "", "before": {"messages": 212}, "after": None},
        consequences=[{"id": "files.missing", "severity": "blocker", "subject": HOSTILE, "title": "a file is gone"}],
    ),
    finding(
        "files.changed", "blocker", HOSTILE, "content changed", details={"change": "changed", "attribute": "sha256", "before": "aa" * 32, "after": "bb" * 32}
    ),
]


def journal(stages=STAGES, close="intact"):
    """Events of a flight that goes through these stages; close None: still open."""
    events, second, clock = [], 0.0, {"monotonic": 1.0, "boot": "b"}
    events.append(
        {
            "event": "flight.open",
            "host": "web1",
            "kind": "upgrade",
            "source": "Debian 12",
            "target": "Debian 13",
            "window": {"start": at(0), "budget_seconds": 3600},
            "budgets": {n: b for n, _s, b in stages if b},
            "time": at(0),
        }
    )
    events.append({"event": "gate", "name": "preflight", "go": True, "counts": {"blocker": 0, "warning": 1, "info": 1, "waived": 1}, "time": at(3)})
    events.append({"event": "decision", "what": "keep dovecot 2.3 settings out, install the 2.4 configuration", "who": "Ada", "why": "PF41", "time": at(4)})
    events.append({"event": "proof", "name": "provider snapshot", "digest": "sha256:" + "5e" * 32, "taken": at(-7200), "note": "ticket 4711", "time": at(5)})
    second = 8.0
    for name, seconds, _budget in stages:
        events.append({"event": "stage.start", "stage": name, "time": at(second)})
        if name == "full":
            for done in range(0, 201, 50):
                events.append({"event": "stage.progress", "stage": name, "done": done, "total": 200, "unit": "packages", "note": "", "time": at(second + done)})
        second += seconds
        events.append({"event": "stage.end", "stage": name, "result": "ok", "seconds": seconds, "note": "", "time": at(second)})
    if close:
        events.append(
            {
                "event": "gate",
                "name": "postflight",
                "go": close == "intact",
                "counts": {"blocker": 0 if close == "intact" else 2, "warning": 1, "info": 1, "waived": 0},
                "time": at(second + 40),
            }
        )
        events.append({"event": "flight.close", "verdict": close, "note": "", "time": at(second + 45)})
    return [dict(clock, **e) for e in events]


def baseline(after=False, sections=None):
    """A look with the summaries above and a few packages."""
    document = {"schema": 1, "taken": at(480 if after else 1), "host": "web1", "boot": "b", "seconds": 31.5, "sections": {}}
    for name, summary in SUMMARIES.items():
        document["sections"][name] = {
            "status": "ok",
            "reason": "",
            "seconds": 1.2,
            "bytes": 4096,
            "unlooked": [],
            "data": {"items": {}, "summary": dict(summary)},
        }
    document["sections"]["packages"]["data"]["items"] = {name: {"version": new if after else old} for name, old, new in VERSIONS}
    if after:
        document["sections"]["packages"]["data"]["summary"]["packages"] = 537
    document["sections"].update(sections or {})
    return document


def comparison(findings=()):
    """What baseline_compare says: the packages' changes are allowed, plus the findings given."""
    rows = []
    for name, summary in SUMMARIES.items():
        mine = [f for f in findings if f.section == name]
        rows.append(
            {
                "section": name,
                "before": summary,
                "after": dict(summary, packages=537) if name == "packages" else summary,
                "status": "ok",
                "changes": len(mine) + (len(VERSIONS) if name == "packages" else 0),
                "allowed": len(VERSIONS) if name == "packages" else 0,
            }
        )
    allowed = [
        {
            "finding": finding("packages.version.changed", "warning", n, "version changed", details={"change": "changed"}).as_dict(),
            "reason": "the upgrade itself: packages of Debian 13",
        }
        for n, _o, _n in VERSIONS
    ]
    renamed = [{"from": "php8.2-fpm.service", "to": "php8.4-fpm.service", "reason": "PHP 8.4 follows 8.2 in Debian 13", "section": "services"}]
    return {"findings": [f.as_dict() for f in findings], "allowed": allowed, "renamed": renamed, "sections": rows, "equal": not findings}


def outages():
    """What the observer saw."""
    targets = []
    for name, kind, interval, gone in OUTAGES:
        spans = [
            {"start": at(8 + s), "end": at(8 + s + n), "seconds": n, "reason": why, "reasons": [why], "maintenance": False, "open": False, "uncertain": False}
            for s, n, why in gone
        ]
        targets.append(
            {
                "name": name,
                "kind": kind,
                "interval": interval,
                "outages": spans,
                "total_seconds": round(sum(s["seconds"] for s in spans), 1),
                "longest": max([s["seconds"] for s in spans] or [0]),
                "maintenance_seconds": 0,
                "polls": 2300,
                "failures": 40,
                "slowest_ms": 90,
                "unobserved_seconds": 0,
                "never_up": False,
            }
        )
    return {"schema": 1, "from": at(0), "to": at(470), "torn_lines": 0, "targets": targets}


def write(directory, events=None, leave_out=(), lost=(), **documents):
    """Write a flight's files: an upgrade that went well, but for what is given. documents: name=dict replaces one."""
    os.makedirs(directory, exist_ok=True)
    now = BEGIN + datetime.timedelta(seconds=600)
    every = {
        "baseline-before": baseline(),
        "baseline-after": baseline(after=True),
        "comparison": comparison(lost),
        "outages": outages(),
        "preflight": dict(
            _findings.gate(BEFORE, [WAIVER], now), checks=[{"check": "PF%02d" % n, "title": "a check", "seconds": 0.1, "findings": 0} for n in range(1, 35)]
        ),
        "postflight": dict(
            _findings.gate(list(lost) + AFTER, [], now),
            checks=[{"check": "QF%02d" % n, "title": "a check", "seconds": 0.1, "findings": 0} for n in range(1, 25)],
        ),
    }
    every.update(documents)
    with open(os.path.join(directory, "journal.jsonl"), "w", encoding="utf-8") as handle:
        for event in journal(close="loss" if lost else "intact") if events is None else events:
            handle.write(json.dumps(event) + "\n")
    for name, document in every.items():
        if name not in leave_out:
            _files.write_document(os.path.join(directory, name + (".json.gz" if name.startswith("baseline") else ".json")), document)
    return directory


if __name__ == "__main__":
    write(sys.argv[1], lost=LOSS if "--loss" in sys.argv else ())
