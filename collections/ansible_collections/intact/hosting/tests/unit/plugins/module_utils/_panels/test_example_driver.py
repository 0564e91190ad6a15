# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/examples/panel_driver.py: a whole driver in one file, against every way in which its panel fails; and what an export leaves where."""

from __future__ import annotations

import datetime
import errno
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _crypt, _export, _inventory, _ready, _retention, _run, _state, _verify
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import acme_fixture as acme
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture as made

NOW = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.timezone.utc)


def exported(tmp_path, fault="", driver=None, **settings):
    """(Host, driver, Outcome)."""
    system, driver = acme.host(tmp_path / "host", fault), driver or acme.driver()
    found = driver.detect(system)
    return system, driver, _run.export(system, driver, found, _run.Settings(root=str(tmp_path / "panel"), **settings))


def blockers(outcome):
    return [(f.id, f.subject) for f in outcome.findings if f.severity == "blocker"]


@pytest.mark.parametrize(
    "fault, found",
    [
        ("", []),
        ("warning", []),
        ("status", []),
        ("said", [("panel.said", "acme export")]),
        ("truncated", [("panel.export.truncated", "acme file acme.tar.gz")]),
        ("missing", [("panel.object.missing", "acme " + what) for what in ("domain b.example", "mailbox '@b.example", "mailbox bob@b.example")]),
        ("altered", [("panel.object.missing", "acme mailbox " + what) for what in ("ann@a.example", "bob@b.example")]),
        ("schema", [("panel.export.schema", "acme domain a.example")]),
        ("reference", [("panel.reference.broken", "acme domain " + what) for what in ("a.example", "b.example")]),
    ],
)
def test_each_failure_has_its_finding_and_a_good_file_none(tmp_path, fault, found):
    _system, _driver, outcome = exported(tmp_path, fault)
    told = blockers(outcome)
    assert set(found) <= set(told) and bool(found) == bool(told)
    assert outcome.verdict == ("failed" if found else "proven") and outcome.made and outcome.path.endswith(".failed") == bool(found)
    assert all(finding.details["host"] == "web1" and finding.remedy for finding in outcome.findings)


def test_a_panels_database_that_refuses_makes_no_export(tmp_path):
    system = acme.host(tmp_path / "host")
    os.unlink(system.place("/usr/local/acme/store.sqlite"))
    outcome = _run.export(system, acme.driver(), {"version": "4.2"}, _run.Settings(root=str(tmp_path / "panel")))
    assert blockers(outcome) == [("panel.export.failed", "acme export")] and "database" in outcome.findings[0].evidence
    assert sorted(os.listdir(tmp_path / "panel" / "acme")) == [".lock", ".progress.json"]


def test_a_busy_panel_is_waited_for_and_then_refused(tmp_path):
    system, driver = acme.host(tmp_path / "host"), acme.driver()
    lock = system.place("/run/acme/backup.lock")
    os.makedirs(os.path.dirname(lock))
    open(lock, "w").close()
    slept, said, clock, settings = [], [], iter(range(0, 1000, 5)), _run.Settings(root=str(tmp_path), wait=20)
    findings = _run.ready(system, driver, {}, settings, said.append, lambda: next(clock), slept.append)
    assert [f.id for f in findings] == ["panel.busy"] and slept and max(slept) <= 10 and said == ["waits at most 20 s: the panel is busy with its own backup"]
    settings.wait = 60
    assert _run.ready(system, driver, {}, settings, None, lambda: next(clock), lambda _seconds: os.path.exists(lock) and os.unlink(lock)) == []
    open(lock, "w").close()
    outcome = _run.export(system, driver, driver.detect(system), _run.Settings(root=str(tmp_path / "panel")))
    assert blockers(outcome) == [("panel.busy", "acme export")] and not outcome.made


def test_no_room_before_and_a_disk_that_runs_full_meanwhile(tmp_path):
    usage = type("Usage", (), {"free": 1 << 20})
    (finding,) = _ready.space("acme", 2 << 20, "it writes twice", str(tmp_path / "not" / "there"), lambda path: usage)
    assert finding.id == "panel.space" and "1 MiB" in finding.evidence and "it writes twice" in finding.evidence
    driver = acme.driver()

    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/intact/panel/acme/x")

    def full_for_gpg(*given):
        raise IntactError("gpg did not encrypt acme.tar.gz.gpg: writing to '-' failed: No space left on device")

    for number, driver.export in enumerate((full, full_for_gpg)):
        _system, _driver, outcome = exported(tmp_path / str(number), driver=driver)
        assert blockers(outcome) == [("panel.space", "acme export")] and not any(
            name.endswith(("settings", ".part", ".failed")) for name in os.listdir(tmp_path / str(number) / "panel" / "acme")
        )


def test_ready_is_told_the_mode_and_where_the_export_goes(tmp_path):
    driver, asked = acme.driver(), []
    driver.ready = lambda system, found, mode, where: asked.append((mode, where)) or []
    system, _driver, outcome = exported(tmp_path, driver=driver, mode="full")
    assert outcome.verdict == "proven"
    settings = _run.Settings(root=str(tmp_path / "panel"), mode="settings")
    _run.foretell(system, _run.plan([(driver, {"version": "1"})], settings, "", None), settings)
    assert asked == [("full", str(tmp_path / "panel")), ("settings", str(tmp_path / "panel"))]


def _broken(error):
    def raising(*_given, **_more):
        raise error

    return raising


@pytest.mark.parametrize(
    ("module", "name", "error", "ident", "made"),
    [
        (_ready, "space", ValueError("odd"), "panel.export.failed", False),
        (_export, "begin", OSError(errno.ENOSPC, "No space left on device", "/x"), "panel.space", False),
        (_export, "seal", OSError(errno.ENOSPC, "No space left on device", "/x"), "panel.space", False),
        (_retention, "prune", OSError(errno.EIO, "Input/output error", "/x"), "panel.export.corrupt", True),
    ],
)
def test_wherever_a_panels_export_breaks_it_is_a_finding_and_hides_no_other_panel(tmp_path, monkeypatch, module, name, error, ident, made):
    system, driver = acme.host(tmp_path / "host"), acme.driver()
    settings = _run.Settings(root=str(tmp_path / "panel"))
    driver.ready = lambda *given: _ready.space("acme", 1, "a byte", str(tmp_path))
    monkeypatch.setattr(module, name, _broken(error))
    outcomes = _run.carry_out(system, [(driver, driver.detect(system), None)] * 2, settings)
    assert [(outcome.made, blockers(outcome)[-1][0]) for outcome in outcomes] == [(made, ident)] * 2
    assert not [entry for entry in os.listdir(tmp_path / "panel" / "acme") if entry.endswith(".part")] if name != "begin" else True


def test_a_file_of_an_export_that_the_disk_does_not_give_any_more_is_told(tmp_path, monkeypatch):
    _system, _driver, outcome = exported(tmp_path)
    monkeypatch.setattr(_crypt, "fingerprint", _broken(OSError(errno.EIO, "Input/output error")))
    found = _export.check(outcome.path, outcome.document)
    assert {finding.id for finding in found} == {"panel.export.corrupt"} and "Input/output error" in found[0].evidence
    assert _run.young("acme", _run.Settings(root=str(tmp_path / "panel"), max_age_hours=1), "aa11", datetime.datetime.now(datetime.timezone.utc)) is None


def test_a_drivers_own_defect_is_told_as_one(tmp_path):
    driver = acme.driver()
    driver.export = lambda *given: {}["password=hunter2"]
    _system, _driver, outcome = exported(tmp_path, driver=driver)
    assert "defect in the driver acme" in outcome.findings[0].evidence and "hunter2" not in outcome.findings[0].evidence
    driver = acme.driver()
    driver.verify = lambda *given: None + 1
    _system, _driver, outcome = exported(tmp_path / "two", driver=driver)
    assert blockers(outcome) == [("panel.export.failed", "acme export")] and outcome.verdict == "failed"


def test_a_scratch_instance_and_the_panels_own_check_have_their_say(tmp_path):
    driver = acme.driver()
    driver.native = lambda system, found, opened: [_inventory.finding("panel.native", "acme", "export", "", "t", "e", "r")]
    driver.scratch = lambda system, found, opened, directory: _inventory.make("acme", "", "", "sql", {"mailbox": {"ann@a.example": {"quota": 1}}})
    _system, _driver, outcome = exported(tmp_path, driver=driver)
    assert blockers(outcome) == [("panel.native", "acme export")] and outcome.document["native"] and not outcome.document["scratch"]
    _system, _driver, outcome = exported(tmp_path / "two", driver=driver, native=False)
    assert {ident for ident, _subject in blockers(outcome)} == {"panel.scratch.differs"} and outcome.document["scratch"]
    assert ("panel.scratch.differs", "acme mailbox bob@b.example") in blockers(outcome)
    assert ("panel.scratch.differs", "acme domain a.example") in blockers(outcome)  # of which the instance has none
    driver.SCRATCH = ["mailbox"]
    _system, _driver, outcome = exported(tmp_path / "named", driver=driver, native=False)
    assert {subject.split()[1] for _ident, subject in blockers(outcome)} == {"mailbox"}
    _system, _driver, outcome = exported(tmp_path / "three", driver=driver, native=False, scratch=False)
    assert outcome.verdict == "proven" and not outcome.document["scratch"]


def test_an_export_is_repeated_only_when_it_has_to_be(tmp_path):
    _system, _driver, outcome = exported(tmp_path)
    settings = _run.Settings(root=str(tmp_path / "panel"), max_age_hours=20)
    taken = datetime.datetime.now(datetime.timezone.utc)

    def again(hours=1, host_id="aa11", **more):
        for name, value in more.items():
            setattr(settings, name, value)
        return _run.young("acme", settings, host_id, taken + datetime.timedelta(hours=hours))

    assert again().path == outcome.path
    assert again(21) is None and again(-1) is None and again(host_id="bb") is None
    assert again(passphrase_file="/x") is None and again(passphrase_file="").path == outcome.path and again(mode="full") is None
    settings.mode = "settings"
    with open(os.path.join(outcome.path, "acme.tar.gz"), "ab") as handle:
        handle.write(b"x")
    assert again() is None


@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed: exports are not encrypted here")
def test_an_export_that_todays_passphrase_does_not_open_is_made_again(tmp_path):
    secret = made.passphrase(tmp_path, "yesterday's")
    _system, _driver, outcome = exported(tmp_path, passphrase_file=secret)
    settings = _run.Settings(root=str(tmp_path / "panel"), max_age_hours=20, passphrase_file=secret)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert outcome.verdict == "proven" and _run.young("acme", settings, "aa11", now).path == outcome.path
    with open(secret, "w") as handle:
        handle.write("today's")
    assert _run.young("acme", settings, "aa11", now) is None


@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed: exports are not encrypted here")
def test_no_planted_secret_is_anywhere_in_the_clear(tmp_path, monkeypatch):
    """In results, documents, names, arguments and files that others can read."""
    secret = made.passphrase(tmp_path, acme.PLANTED[3])
    seen, popen = [], subprocess.Popen

    def watched(argv, *given, **more):
        seen.append(repr(argv) + repr(sorted((more.get("env") or {}).items())))
        return popen(argv, *given, **more)

    monkeypatch.setattr(subprocess, "Popen", watched)
    for fault in ("", "said", "missing", "altered", "schema", "truncated"):
        system, driver, outcome = exported(tmp_path / ("fault" + fault), fault, passphrase_file=secret)
        told = [finding.as_dict() for finding in outcome.findings]
        state = _state.look(system, driver, driver.detect(system), "full", str(tmp_path / ("fault" + fault) / "panel"), NOW)
        document, findings, _verdict = _run.verify(driver, outcome.path, secret)
        results = repr((told, outcome.told(), outcome.document, state, document, findings))
        assert "ann@a.example" in results
        stored = b""
        for top, folders, files in os.walk(tmp_path / ("fault" + fault) / "panel"):
            for name in folders + files:
                path = os.path.join(top, name)
                assert stat.S_IMODE(os.lstat(path).st_mode) & 0o077 == 0, path
                stored += name.encode() + (pathlib.Path(path).read_bytes() if name in files else b"")
        for planted in acme.PLANTED:
            assert planted not in results and planted.encode() not in stored and not any(planted in line for line in seen), (fault, planted)


def test_the_state_of_exports_is_judged_by_the_newest_proven_one(tmp_path):
    root = tmp_path / "panel"

    def judged(hours=24, now=NOW, host_id="aa"):
        return [f.evidence for f in _state.stale("plesk", _export.held(str(root), "plesk"), now, hours, host_id)]

    assert "no export at all" in judged()[0]
    made.export(root, {"a": b"1"}, verdict="unproven", moment=NOW)
    assert "none of them proven" in judged()[0]
    made.export(root, {"a": b"1"}, moment=NOW - datetime.timedelta(hours=30))
    assert "30 hours old" in judged()[0] and judged(31) == []
    assert "none of them proven" in judged(31, host_id="bb")[0]
    assert "future" in judged(99, now=NOW - datetime.timedelta(hours=40))[0]


def test_a_disk_is_read_with_a_query_of_somebody_elses_server(tmp_path):
    system, driver = acme.host(tmp_path), acme.driver()
    asked = []

    def query(database, sql):
        asked.append(database)
        return [("a.example",)] if "domains" in sql else [("ann@a.example", "100", "x")]

    document = driver.inventory(system, driver.detect(system), query)
    assert _inventory.counts(document) == {"domain": 1, "mailbox": 1} and set(asked) == {"/usr/local/acme/store.sqlite"}
    with pytest.raises(IntactError, match="can't be read"):
        driver._live(system)("/not/there", "SELECT 1")
    assert _verify.verdict([]) == "proven"
