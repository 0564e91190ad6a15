# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drivers hook, with real programs, and restore."""

from __future__ import annotations

import datetime
import json
import os
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _drivers, _stage, hook, restore
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place

SCRIPT = """#!/bin/sh
# A hypervisor that keeps snapshots as directories.
LAB=%s
echo "$*" >>"$LAB/calls"
[ ! -e "$LAB/break.$1" ] || { echo "connecting with password=hunter2 to https://admin:sesame@hv.example.com" >&2; echo "no quorum" >&2; exit 3; }
case "$1" in
  take) mkdir "$LAB/$2" ;;
  there) [ -d "$LAB/$2" ] ;;
  back) [ -d "$LAB/$2" ] && echo back >"$LAB/went" ;;
  drop) [ -e "$LAB/lies" ] || rmdir "$LAB/$2" ;;
esac
"""


@pytest.fixture
def lab(tmp_path):
    program = tmp_path / "hv"
    program.write_text(SCRIPT % tmp_path)
    program.chmod(0o755)
    return tmp_path


def settings(lab, **more):
    return {"hook": dict({word: [str(lab / "hv"), word, "{name}"] for word in hook.NEEDED}, **more)}


def test_take_back_drop_with_the_exact_name(lab):
    place = Place()
    facts = hook.decide(place, "f-1", settings(lab))
    assert "hook" not in _drivers.public(facts)
    assert _drivers.complete(_drivers.public(facts), settings(lab))["hook"] == facts["hook"]
    hook.take(place, facts)
    assert hook.state(place, facts)["whole"] and (lab / "intact-f-1").is_dir()
    hook.boot_back(place, facts)
    assert (lab / "went").exists()
    with pytest.raises(IntactError, match="is there already: either power was cut"):
        hook.take(place, facts)
    assert hook.drop(place, facts) == "snapshot intact-f-1 removed" and hook.drop(place, facts) == ""
    assert {line.split()[1] for line in (lab / "calls").read_text().splitlines()} == {"intact-f-1"}
    with pytest.raises(IntactError, match="nothing to go back to"):
        hook.boot_back(place, facts)


def test_who_wakes_up_inside_of_the_snapshot_does_not_drop_it(lab):
    """The runner fails in stage snapshot then, and gives back what it took: but the snapshot is the system in which it runs."""
    job, told = {"flight": "f-1", "plan": {}, "settings": {"rollback": dict(settings(lab), driver="hook")}}, {}
    memory = SimpleNamespace(state={"stages": {}}, recall=told.get, remember=told.__setitem__, journal=lambda *words, **fields: None)
    host = SimpleNamespace(memory=memory, directory="", run=Place().run)
    # As it was in the moment of the snapshot: made, and not yet known to be.
    facts = hook.decide(Place(), "f-1", settings(lab))
    told["snapshot"] = dict(_drivers.public(facts), complete=False)
    hook.take(Place(), facts)
    with pytest.raises(IntactError, match="is there already"):
        _stage.snapshot(host, job, Place())
    with pytest.raises(IntactError, match="left alone"):
        _stage.give_back(host, job, Place())
    assert (lab / "intact-f-1").is_dir() and told["snapshot"]["complete"] is False
    # One that failed before there was any is forgotten, and one that was whole goes with its attempt, in however many steps.
    hook.drop(Place(), facts)
    assert _stage.give_back(host, job, Place()) == "" and told["snapshot"] is None
    assert _stage.snapshot(host, job, Place()) == "intact-f-1 by hook"
    (lab / "break.drop").touch()
    with pytest.raises(IntactError, match="status 3"):
        _stage.give_back(host, job, Place())
    (lab / "break.drop").unlink()
    assert _stage.give_back(host, job, Place()) == "snapshot intact-f-1 removed" and told["snapshot"] is None


def test_a_failure_is_told_without_secrets(lab):
    facts = hook.decide(Place(), "f-1", settings(lab))
    (lab / "break.take").touch()
    with pytest.raises(IntactError) as caught:
        hook.take(Place(), facts)
    said = str(caught.value)
    assert "status 3" in said and "no quorum" in said and "hunter2" not in said and "sesame" not in said


def test_an_end_that_is_well_is_not_believed(lab):
    facts = hook.decide(Place(), "f-1", settings(lab, take=["/bin/true", "{name}"]))
    with pytest.raises(IntactError, match="ended well, and the snapshot intact-f-1 is not there"):
        hook.take(Place(), facts)
    facts = hook.decide(Place(), "f-1", settings(lab))
    hook.take(Place(), facts)
    (lab / "lies").touch()
    with pytest.raises(IntactError, match="is still there"):
        hook.drop(Place(), facts)


def test_a_program_that_hangs_is_ended(lab):
    facts = hook.decide(Place(), "f-1", settings(lab, there=["/bin/sh", "-c", "sleep 600", "{name}"], seconds=1))
    with pytest.raises(IntactError, match="no answer within 1 s"):
        hook.state(Place(), facts)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"take": None}, "take is no list"),
        ({"back": "rm -rf {name}"}, "back is no list"),
        ({"drop": ["hv", "{name}"]}, "no absolute path"),
        ({"back": ["/bin/true", "latest"]}, "no argument with {name}"),
        ({"there": ["/bin/true"]}, "no argument with {name}"),
    ],
)
def test_settings_that_could_mean_another_snapshot_are_refused(lab, more, words):
    assert words in hook.wrong(settings(lab, **more)["hook"])
    found = hook.check(Place(), settings(lab, **more))
    assert [(f.id, f.severity) for f in found] == [("rollback.impossible", "blocker")]


def test_what_is_asked_before_take_off(lab):
    def found(**more):
        return {(f.id, f.severity) for f in hook.check(Place(), settings(lab, **more))}

    assert found() == {("rollback.hook.usable", "info")}
    assert found(take=["/nowhere/hv", "{name}"]) == {("rollback.hook.missing", "blocker")}
    assert found(there=["/bin/true", "{name}"]) == {("rollback.hook.yes", "blocker")}
    (lab / "break.there").touch()
    assert found() == {("rollback.hook.there", "blocker")}
    os.chmod(lab / "hv", 0o777)
    assert found() == {("rollback.hook.open", "blocker")}


def test_a_restore_says_which_backup_and_what_it_costs(tmp_path):
    place = Place(root=str(tmp_path))
    now = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.timezone.utc)
    assert [f.id for f in restore.check(place, {}, now=now)] == ["rollback.unproven"]
    assert [f.id for f in restore.check(place, {"automatic": True, "proofs": []}, now=now)] == ["rollback.restore.automatic"]
    old = {"kind": "backup", "taken": "2026-11-20T12:00:00Z", "repositories": {"vault": {}}}
    new = {"kind": "backup", "taken": "2026-11-23T03:00:00Z", "digest": "sha256:x", "repositories": {"vault": {}, "attic": {}}}
    (tmp_path / "var/lib/intact/proofs").mkdir(parents=True)
    (tmp_path / "var/lib/intact/proofs/backup.json").write_text(json.dumps(new))
    (tmp_path / "var/lib/intact/proofs/torn.json").write_text("{")
    (finding,) = restore.check(place, {"proofs": [old, {"kind": "panel", "taken": "2026-11-23T11:00:00Z"}]}, now=now)
    assert finding.severity == "warning" and finding.details["hours"] == 9 and "2026-11-23T03:00:00Z" in finding.evidence
    facts = restore.decide(place, "f-1", {"proofs": [old]})
    assert facts["taken"] == new["taken"] and facts["repositories"] == ["attic", "vault"]
    restore.take(place, facts)
    assert restore.state(place, facts)["whole"]
    with pytest.raises(IntactError, match=r"backup of 2026-11-23T03:00:00Z from attic, vault: ansible-playbook playbooks/restore-host.yml"):
        restore.boot_back(place, facts)


@pytest.mark.parametrize(
    "proofs, taken", [([{"kind": "backup", "taken": "2026-11-20T12:00:00Z", "repositories": {"vault": {}}}], "2026-11-20T12:00:00Z"), ([], "")]
)
def test_what_is_remembered_is_the_time_of_the_backup_and_not_of_the_flight(tmp_path, proofs, taken):
    memory, said = {}, []
    told = SimpleNamespace(
        recall=memory.get, remember=memory.__setitem__, journal=lambda event, **fields: said.append((event, fields["rollback"])), state={"stages": {}}
    )
    job = {"flight": "f-1", "plan": {}, "settings": {"rollback": {"driver": "restore", "automatic": True, "proofs": proofs}}}
    _stage.snapshot(SimpleNamespace(memory=told, directory=str(tmp_path)), job, Place(root=str(tmp_path)))
    assert memory["snapshot"]["taken"] == taken and memory["snapshot"]["complete"]
    assert said == [("decision", {"state": "taken", "automatic": True})]
