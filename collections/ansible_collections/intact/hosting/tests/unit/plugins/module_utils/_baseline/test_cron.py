# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cron: crontabs as cron reads them, timers as systemd shows them, at jobs, and what their loss says."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _schedule, cron
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

CAROL = """# m h dom mon dow command
MAILTO=carol@example.test
PATH="/usr/bin:/bin"
5 * * * * /home/carol/bin/report
@daily php /home/carol/cleanup.php >/dev/null 2>&1
not a line that cron reads
"""
HOSTING = """SHELL=/bin/sh
17 3 * * *	root	[ -x /usr/local/bin/hosting ] && /usr/local/bin/hosting
40 4 1 * * www-data php /usr/share/dokuwiki/bin/indexer.php -q
"""
TIMERS = """TimersCalendar={ OnCalendar=*-*-* 02:30:00 ; next_elapse=Mon 2026-11-23 02:30:00 UTC }
Id=report.timer
Triggers=report.service
ActiveState=active
FragmentPath=/etc/systemd/system/report.timer
DropInPaths=
UnitFileState=enabled

TimersCalendar={ OnCalendar=*-*-* 00:00:00 ; next_elapse=Mon 2026-11-23 00:00:00 UTC }
Id=logrotate.timer
Triggers=logrotate.service
ActiveState=active
FragmentPath=/lib/systemd/system/logrotate.timer
DropInPaths=/etc/systemd/system/logrotate.timer.d/often.conf
UnitFileState=enabled

TimersMonotonic={ OnUnitActiveUSec=1d ; next_elapse=0 }
TimersMonotonic={ OnBootUSec=15min ; next_elapse=52min 3.786953s }
Id=systemd-tmpfiles-clean.timer
Triggers=systemd-tmpfiles-clean.service
ActiveState=active
FragmentPath=/lib/systemd/system/systemd-tmpfiles-clean.timer
DropInPaths=
UnitFileState=static
"""
# Written by at 3.2.5 on Debian 12.
AT = """#!/bin/sh
# atrun uid=0 gid=0
# mail root 0
umask 22
HOME=/root; export HOME
cd /root || {
  echo 'Execution directory inaccessible' >&2
  exit 1
}
echo hi there
"""
TAB, AT_FILE = "/var/spool/cron/crontabs/carol", "/var/spool/cron/atjobs/a0000101c89574"
REPORT = "carol: 5 * * * * /home/carol/bin/report"


def host(files=None, timers=TIMERS):
    content = {
        TAB: CAROL,
        "/etc/cron.d/hosting": HOSTING,
        "/etc/cron.d/old.bak": HOSTING,
        "/etc/cron.daily/backup": "#!/bin/sh\n",
        "/etc/cron.daily/.placeholder": "",
        "/home/carol/bin/report": "#!/usr/bin/perl -w\n",
        "/usr/bin/perl": "ELF",
        "/usr/bin/php": "ELF",
        "/usr/local/bin/hosting": "ELF",
        "/bin/sh": "ELF",
        AT_FILE: AT,
    }
    content.update(files or {})
    stats = {"/etc/cron.daily/backup": {"mode": 0o755}, "/etc/cron.daily/.placeholder": {"mode": 0o755}}
    stats = {path: value for path, value in stats.items() if content.get(path) is not None}
    return FakeSystem({"systemctl show": timers, "dpkg-query -W": "cron\n /etc/crontab 123\n"}, content, stats=stats)


def ids(findings):
    return sorted((f.id, f.subject) for f in findings)


def compared(files=None, timers=TIMERS):
    return cron.compare(cron.capture(host()), cron.capture(host(files, timers)))


def test_what_a_host_runs():
    data = cron.capture(host())
    assert sorted(data["items"]) == sorted(
        [
            REPORT,
            "carol: @daily php /home/carol/cleanup.php >/dev/null 2>&1",
            "root: 17 3 * * * [ -x /usr/local/bin/hosting ] && /usr/local/bin/hosting",
            "www-data: 40 4 1 * * php /usr/share/dokuwiki/bin/indexer.php -q",
            "root: daily /etc/cron.daily/backup",
            "timer report.timer",
            "timer logrotate.timer",
            "root: at 2026-11-22 15:16Z (job 1) echo hi there",
        ]
    )
    assert data["items"][REPORT] == {
        "kind": "user",
        "user": "carol",
        "schedule": "5 * * * *",
        "command": "/home/carol/bin/report",
        "file": TAB,
        "count": 1,
        "settings": {"MAILTO": "carol@example.test", "PATH": "/usr/bin:/bin"},
        "runs": "yes",
    }
    assert data["items"]["timer report.timer"] == {
        "kind": "timer",
        "schedule": ["OnCalendar=*-*-* 02:30:00"],
        "unit": "report.service",
        "enabled": "enabled",
        "armed": True,
        "file": "/etc/systemd/system/report.timer",
    }
    assert data["summary"] == {"cron jobs": 5, "own timers": 2, "at jobs": 1}


def test_nothing_changed():
    assert compared() == []


def test_a_lost_job_names_itself_and_explains_its_file():
    found = compared({TAB: CAROL.replace("5 * * * * /home/carol/bin/report\n", "")})
    assert ids(found) == [("cron.job.missing", REPORT)]
    assert found[0].severity == "blocker" and found[0].covers == [{"section": "files", "path": TAB}]


def test_a_lost_crontab_names_every_job():
    assert ids(compared({TAB: None})) == [("cron.job.missing", REPORT), ("cron.job.missing", "carol: @daily php /home/carol/cleanup.php >/dev/null 2>&1")]


@pytest.mark.parametrize(
    ("files", "finding", "subject", "evidence"),
    [
        ({TAB: CAROL.replace("5 * * * *", "6 * * * *")}, "cron.job.changed", REPORT, "5 * * * * before, 6 * * * * now"),
        ({TAB: CAROL.replace("bin/report", "bin/report --all")}, "cron.job.changed", REPORT, "--all now"),
        ({TAB: CAROL + "1 1 1 1 1 /bin/sh\n"}, "cron.job.new", "carol: 1 1 1 1 1 /bin/sh", "crontabs/carol"),
        ({"/home/carol/bin/report": None}, "cron.program.missing", REPORT, "/home/carol/bin/report is not there"),
        ({"/usr/bin/perl": None}, "cron.program.missing", REPORT, "needs /usr/bin/perl, which is not there"),
        ({"/etc/cron.daily/backup": None}, "cron.job.missing", "root: daily /etc/cron.daily/backup", "cron.daily/backup"),
        ({AT_FILE: None}, "cron.at.missing", "root: at 2026-11-22 15:16Z (job 1) echo hi there", ""),
    ],
)
def test_one_change_is_one_finding(files, finding, subject, evidence, monkeypatch):
    before = dict(cron.capture(host()), clock=29922000)
    after = dict(cron.capture(host(files)), clock=29922000)
    found = cron.compare(before, after)
    assert ids(found) == [(finding, subject)] and evidence in found[0].evidence


def test_an_at_job_that_was_due_has_run():
    before, after = cron.capture(host()), cron.capture(host({AT_FILE: None}))
    due = before["items"]["root: at 2026-11-22 15:16Z (job 1) echo hi there"]["due"]
    assert ids(cron.compare(before, dict(after, clock=due - 1))) == [("cron.at.missing", "root: at 2026-11-22 15:16Z (job 1) echo hi there")]
    assert cron.compare(before, dict(after, clock=due)) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (
            "UnitFileState=enabled\n\nTimersCalendar={ OnCalendar=*-*-* 00",
            "UnitFileState=disabled\n\nTimersCalendar={ OnCalendar=*-*-* 00",
            "cron.timer.changed",
        ),
        ("02:30:00 ;", "03:30:00 ;", "cron.timer.changed"),
        ("Triggers=report.service\nActiveState=active", "Triggers=report.service\nActiveState=inactive", "cron.timer.changed"),
        ("FragmentPath=/etc/systemd/system/report.timer", "FragmentPath=", "cron.timer.missing"),
    ],
)
def test_timers(old, new, finding):
    assert old in TIMERS
    assert ids(compared(timers=TIMERS.replace(old, new, 1))) == [(finding, "timer report.timer")]


def test_only_the_next_run_moved():
    assert compared(timers=TIMERS.replace("2026-11-23 02:30", "2026-11-24 02:30").replace("next_elapse=0", "next_elapse=infinity")) == []


def test_systemd_that_does_not_answer_is_said():
    system = host(timers=(1, "", "Failed to connect to bus: Host is down"))
    assert "timer report.timer" not in cron.capture(system)["items"]
    assert system.unlooked[0]["what"] == "systemd timers"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/true", "/usr/bin/true"),
        ("php /srv/x.php >/dev/null 2>&1", "php"),
        ("[ -x /usr/lib/php/sessionclean ] && /usr/lib/php/sessionclean", "/usr/lib/php/sessionclean"),
        ("test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }", "run-parts"),
        ("if [ -x /usr/bin/mailman ]; then /usr/bin/mailman notify; fi", "/usr/bin/mailman"),
        ("cd /srv && ./run", "./run"),
        ("LANG=C /bin/date", "/bin/date"),
        ("nice -n 10 /usr/bin/backup", ""),
        ("$HOME/bin/x", ""),
        ("test -s /var/mail/carol", ""),
        ("/bin/mail -s x%body", "/bin/mail"),
        ("unbalanced 'quote", ""),
    ],
)
def test_the_program_of_a_command(command, name):
    assert _schedule.program(command) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"#!/bin/sh\nx", "/bin/sh"),
        (b"#! /usr/bin/env python3\n", "python3"),
        (b"#!/usr/bin/perl -w\n", "/usr/bin/perl"),
        (b"\x7fELF", ""),
        (b"", ""),
    ],
)
def test_interpreter(head, name):
    assert _schedule.interpreter(head) == name


def test_anacrontab():
    text = "SHELL=/bin/sh\n# x\n1\t5\tcron.daily\trun-parts --report /etc/cron.daily\n"
    assert _schedule.anacrontab(text) == [
        {"user": "root", "schedule": "every 1 days after 5 min", "command": "run-parts --report /etc/cron.daily", "settings": {}}
    ]


def test_a_customers_fifo_in_place_of_his_script_is_not_opened():
    system = host()
    system.stats["/home/carol/bin/report"] = {"type": "p"}
    system.files["/home/carol/bin/report"] = AssertionError("opened")
    assert cron.capture(system)["items"][REPORT]["runs"] == "unknown"
