# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup jobs, agents and denials: what keeps a host going when nobody looks."""

from __future__ import annotations

import json
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _program
from ansible_collections.intact.hosting.plugins.module_utils._backup import _units
from ansible_collections.intact.hosting.plugins.module_utils._panels import _install as panel_install
from ansible_collections.intact.hosting.plugins.module_utils._postflight import _started, denials, upkeep
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

PROGRAM = "/usr/local/lib/intact/backup/__main__.py"
TIMER = (
    "Id=intact-backup-%s.timer\nTriggers=intact-backup@%s.service\nActiveState=%s\nUnitFileState=%s\nNextElapseUSecRealtime=%s\n"
    "NextElapseUSecMonotonic=infinity\n"
)
FILES = TIMER % ("files", "files", "active", "enabled", "Tue 2026-11-24 02:00:00 UTC")
LOADED = "Id=intact-backup@files.service\nLoadState=loaded\nExecStart={ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 -I -B %s run files ; }\n" % PROGRAM


def host(timers=FILES, services=LOADED, state=(1, '{"findings": []}'), drop=(), commands=None, **files):
    given = dict({PROGRAM: "x", "/run/systemd/system/x": ""}, **files)
    more = {"systemctl show --all": timers, "systemctl show --no-pager": services, ("python3", "-I", "-B", PROGRAM): state}
    return FakeSystem(commands={**more, **(commands or {})}, files={path: text for path, text in given.items() if path not in drop})


def told(check, *args, **more):
    return [(f.id, f.severity, f.subject) for f in check(Context(host(*args, **more)))]


@pytest.mark.parametrize(
    "more, expected",
    [
        ({}, []),
        ({"timers": TIMER % ("files", "files", "inactive", "enabled", "")}, [("backup.unscheduled", "blocker", "intact-backup-files.timer")]),
        ({"timers": TIMER % ("files", "files", "active", "enabled", "")}, [("backup.unscheduled", "blocker", "intact-backup-files.timer")]),
        ({"timers": TIMER % ("files", "files", "inactive", "disabled", "")}, []),  # the operator's choice
        ({"services": LOADED.replace("=loaded", "=bad-setting")}, [("backup.unit", "blocker", "intact-backup-files.timer")]),
        ({"drop": (PROGRAM,)}, [("backup.program", "blocker", "host_backup")]),
        ({"state": (1, "", "Traceback (most recent call last):\nImportError: no x")}, [("backup.program", "blocker", "host_backup")]),
        ({"state": (2, "", "the job /etc/intact/backup/job.json cannot be read")}, [("backup.program", "blocker", "host_backup")]),
        ({"timers": "", "drop": (PROGRAM,)}, []),
    ],
)
def test_our_own_backups(more, expected):
    assert told(upkeep.backups, **more) == expected


def test_the_real_programs_start_and_a_broken_one_is_told(tmp_path, monkeypatch):
    """Installed as the roles install them: they answer as upkeep expects, and no more so when one of their files is damaged."""
    if not shutil.which("python3"):
        pytest.skip("needs python3")
    own = []
    for (role, path, words, answers, pattern), entry in zip(upkeep.OWN, ("_backup._main", "_panels._main")):
        assert path == {"host_backup": _units.PROGRAM, "panel_export": panel_install.PROGRAM}[role] + "/__main__.py"
        for relative, text in _program.files(entry).items():
            (tmp_path / role / relative).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / role / relative).write_text(text)
        # this machine has no job: that is said with status 2, which is a finding by itself
        own.append((role, str(tmp_path / role / "__main__.py"), words, answers + ((2,) if role == "host_backup" else ()), pattern))
    monkeypatch.setattr(upkeep, "OWN", own)
    monkeypatch.setattr(upkeep, "TOOLS", ())
    monkeypatch.setattr(_started, "timers", lambda _host: [])
    assert [(f.subject, f.evidence) for f in upkeep.backups(Context(System()))] == []
    for name in ("host_backup", "panel_export"):
        next((tmp_path / name).rglob("_findings.py")).write_text("import no_such_module_here\n")
    found = upkeep.backups(Context(System()))
    assert [f.subject for f in found] == ["host_backup", "panel_export"] and "no_such_module_here" in found[0].evidence


BROKEN = (1, "", "Traceback\nModuleNotFoundError: No module named 'borgmatic'")
TOLD = [("backup.tool", "blocker", "borgmatic")]


@pytest.mark.parametrize(
    "named, there, answer, expected",
    [
        ("borgmatic", "/usr/bin/borgmatic", "1.7.7\n", []),
        ("borgmatic", "/usr/bin/borgmatic", BROKEN, TOLD),
        ("borgmatic", None, None, TOLD),
        ("/opt/b/bin/borgmatic", "/opt/b/bin/borgmatic", "1.7.7\n", []),
        ("/opt/b/bin/borgmatic", "/opt/b/bin/borgmatic", BROKEN, TOLD),
        ("/opt/b/bin/borgmatic", None, None, TOLD),
        ("/opt/b/bin/borgmatic-wrapper", None, None, []),
    ],
)
def test_somebody_elses_backup(named, there, answer, expected):
    def look(**cron):
        more = {} if answer is None else {(there,): answer}
        return told(upkeep.backups, timers="", drop=(PROGRAM,), commands=more, **dict(cron, **({there: "x"} if there else {})))

    assert look(**{"/etc/cron.d/b": "# borgmatic\n0 3 * * * root PATH=$PATH:/usr/local/bin %s --verbosity -1\n" % named}) == expected
    assert look() == [], "what nothing starts is not this host's backup"


def test_what_others_than_root_can_change_is_not_started():
    cron = {"/etc/cron.d/b": "0 3 * * * carol /home/carol/bin/restic backup\n", "/home/carol/bin/restic": "x"}
    given = host(timers="", drop=(PROGRAM,), **cron)
    given.stats["/home/carol/bin/restic"] = {"uid": 1000}
    assert upkeep.backups(Context(given)) == [] and [call for call in given.calls if "restic" in call[0]] == []


def test_a_service_with_several_commands():
    text = "Id=x.service\nExecStart={ path=/bin/a }\nExecStart={ path=/usr/bin/restic }\n\nId=y.service\n"
    assert [unit["Id"] for unit in _started.blocks(text)] == ["x.service", "y.service"]
    assert "/bin/a" in _started.blocks(text)[0]["ExecStart"] and "restic" in _started.blocks(text)[0]["ExecStart"]


AGENT = "Id=%s.service\nLoadState=loaded\nActiveState=%s\nSubState=x\nUnitFileState=%s\nType=simple\nConditionResult=%s\n"


@pytest.mark.parametrize(
    "unit, expected",
    [
        (AGENT % ("zabbix-agent", "active", "enabled", "yes"), []),
        (AGENT % ("zabbix-agent", "failed", "enabled", "yes"), [("monitoring.agent", "warning", "zabbix-agent.service")]),
        (AGENT % ("zabbix-agent", "inactive", "enabled", "yes"), [("monitoring.agent", "warning", "zabbix-agent.service")]),
        (AGENT % ("zabbix-agent", "inactive", "disabled", "yes"), []),
        (AGENT % ("smartmontools", "inactive", "enabled", "no"), []),
        ("Id=nrpe.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n", []),
    ],
)
def test_agents(unit, expected):
    given = FakeSystem(commands={"systemctl show": unit + "\n" + unit}, files={"/run/systemd/system/x": ""})
    assert [(f.id, f.severity, f.subject) for f in upkeep.monitoring(Context(given))] == expected
    assert upkeep.monitoring(Context(FakeSystem())) == []


DENIED = 'audit: type=1400 audit(1763900000.1:42): apparmor="DENIED" operation="open" profile="named" name="/srv/zones/%s.zone" pid=77 comm="named"'
AVC = 'avc:  denied  { read } for  pid=9 comm="httpd" name="x" scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:home_root_t:s0 tclass=file'


def journal(before, after, **files):
    def answer(argv, _stdin):
        return "\n".join(json.dumps({"MESSAGE": text}) for text in (before if "--until" in argv else after)) + "\n{torn"

    files = dict({"/sys/kernel/security/apparmor/profiles": ""}, **files)
    return Context(FakeSystem(commands={"journalctl": answer}, files=files), opened="2026-11-22T11:00:00.000Z")


def test_denials_that_are_new():
    found = denials.denials(journal([DENIED % 1], [DENIED % 2, AVC, AVC, "nothing"]))
    assert [(f.id, f.severity, f.subject) for f in found] == [("confinement.denied", "warning", "httpd_t: read on home_root_t (file)")]
    assert "2 times" in found[0].title
    assert [f.subject for f in denials.denials(journal([], [DENIED % 1]))] == ["named: open /srv/zones/N.zone"]
    assert denials.denials(journal([DENIED % 1], [DENIED % 1])) == []


def test_denials_of_a_container_are_its_machines():
    assert denials.denials(journal([], [AVC], **{"/run/systemd/container": "docker"})) == []
    assert denials.denials(Context(FakeSystem())) == []
