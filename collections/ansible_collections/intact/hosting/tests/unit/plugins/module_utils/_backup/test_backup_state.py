# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known from one run to the next: freshness, proofs, checks, and how others are told."""

from __future__ import annotations

import datetime
import io
import os
import urllib.error

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _clock, _job, _metrics, _outcome, _state
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.timezone.utc)
JOB = _job.check(
    {
        "host": "web1",
        "repositories": [
            {"name": "near", "url": "rest:https://a/", "password_file": "/p"},
            {"name": "far", "url": "rest:https://b/", "password_file": "/p"},
        ],
    },
    NOW,
)


def backed_up(taken="2026-11-22T03:00:00Z", result="ok", **more):
    state = _state.fresh("web1")
    for name in ("near", "far"):
        _state.record(state, name, "files", snapshot="a" * 64, run="r1", taken=taken, counts={"sites": 3}, result=result, seconds=2.5, **more)
        _state.record_check(state, name, [], {"parts": 1, "read": {"1": "2026-11-22T04:00:00Z"}}, "2026-11-22T04:00:00Z")
    return state


def proof(result="proven", made="2026-11-22T06:00:00Z"):
    entry = {"snapshot": "a" * 64, "taken": "2026-11-22T03:00:00Z", "result": result, "seconds": 61}
    return {"made": made, "digest": "sha256:x", "repositories": {name: {"classes": {"files": entry}} for name in ("near", "far")}}


def ids(state, now=NOW):
    return sorted((finding.id, finding.subject) for finding in _state.judge(state, JOB, ["files"], now))


def test_nothing_is_wrong_with_a_young_and_proven_backup():
    state = backed_up()
    _state.record_proof(state, proof())
    assert ids(state) == []
    assert _state.expected(state, "near") == [("files", "a" * 64)]
    assert _state.previous(state, "near", "files")["counts"] == {"sites": 3}


def test_nothing_done_is_stale_and_unproven_everywhere():
    assert ids(_state.fresh()) == sorted(
        [("backup.stale", "near files"), ("backup.stale", "far files")]
        + [("backup.unproven", "%s %s" % pair) for pair in [("near", "files"), ("near", "packs"), ("far", "files"), ("far", "packs")]]
    )


def test_age_and_clock():
    state = backed_up("2026-11-20T03:00:00Z")
    _state.record_proof(state, proof())
    assert ids(state) == [("backup.stale", "far files"), ("backup.stale", "near files")]
    state = backed_up("2026-11-23T03:00:00Z")
    _state.record_proof(state, proof())
    assert ids(state) == [("backup.clock", "far files"), ("backup.clock", "near files")]


def test_an_earlier_success_does_not_hide_a_later_failure():
    state = backed_up()
    _state.record_proof(state, proof())
    _state.record(
        state, "far", "files", run="r2", result="failed", findings=[f.as_dict() for f in _outcome.Outcome("full", 1, "no space").findings("far", "files")]
    )
    _state.record(state, "near", "files", run="r2", result="partial")
    assert ids(state) == [("backup.repository.full", "far files"), ("backup.snapshot.incomplete", "near files")]
    assert state["repositories"]["far"]["classes"]["files"]["good"]["run"] == "r1"
    text = _metrics.render(state, ["files"], [], NOW)
    assert 'intact_backup_last_ok{class="files",repository="far"} 0' in text


def test_a_failed_or_old_proof_proves_nothing():
    for document in (proof("failed"), proof(made="2026-11-01T00:00:00Z"), proof(made="2026-11-24T00:00:00Z")):
        state = backed_up()
        _state.record_proof(state, document)
        assert ids(state) == [("backup.unproven", "far files"), ("backup.unproven", "near files")]
    state = backed_up()
    _state.record_proof(state, proof("failed"))
    _state.record_proof(state, proof(made="2026-11-21T00:00:00Z"))
    assert len(ids(state)) == 2, "an older proof does not replace a newer failure"


def test_findings_of_a_check_stay_until_the_next():
    state = backed_up()
    _state.record_proof(state, proof())
    damage = _outcome.finding("damaged", "near", "", "pack 12", "does not match")
    _state.record_check(state, "near", [damage], {"parts": 1, "read": {}}, "2026-11-22T05:00:00Z")
    assert ids(state) == [("backup.repository.damaged", "near pack 12")]


def test_the_state_survives_and_a_torn_one_is_put_aside(tmp_path):
    path = str(tmp_path / "state.json")
    assert _state.load(path, "web1") == _state.fresh("web1")
    state = backed_up()
    _state.save(state, path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert _state.load(path) == state
    with open(path, "w", encoding="ascii") as handle:
        handle.write('{"sch')
    assert _state.load(path, "web1") == _state.fresh("web1")
    assert os.listdir(str(tmp_path)) == ["state.json.unreadable"]
    with pytest.raises(IntactError):
        _state.record(state, "near", "files", snapshto="x")


def test_parts_rotate_and_coverage_is_told():
    coverage, order = {}, []
    for number in range(1, 6):
        part = _check.next_part(coverage, 3)
        order.append(part)
        coverage = _check.took(coverage, 3, part, "2026-11-0%dT00:00:00Z" % number)
    assert order == [1, 2, 3, 1, 2]
    assert _check.covered(coverage, NOW) == {"percent": 100.0, "never": 0, "oldest": "2026-11-03T00:00:00Z", "oldest_days": 19.5}
    coverage = _check.spoiled(coverage, 2)
    assert _check.covered(coverage, NOW)["percent"] == 66.7 and _check.next_part(coverage, 3) == 2
    assert _check.took(coverage, 4, 1, "x")["read"] == {"1": "x"}, "parts of another size count for nothing"
    assert _check.covered({}, NOW) == {"percent": 0.0, "never": 0, "oldest": "", "oldest_days": None}
    assert [f.id for f in _check.stale("near", _check.took({}, 1, 1, "2026-10-01T00:00:00Z"), 35, NOW)] == ["backup.unproven"]


class Repository:
    """Answers a check as restic would."""

    name = "near"

    def __init__(self, structure=("", 0), reading=("", 0), found=b"[]"):
        self.answers, self.found, self.asked = {1: structure, 2: reading}, found, []

    def unlock_stale(self):
        return [], []

    def snapshots(self, tags=(), host=""):
        return [{"id": "a" * 64, "tree": "b" * 64}]

    def has(self, feature):
        return True

    def full_id(self, kind, name):
        return name

    def run(self, arguments):
        self.asked.append(arguments)
        if arguments[0] == "find":
            return _outcome.Outcome("ok", 0, out=self.found)
        text, rc = self.answers[len(arguments)]
        return _outcome.Outcome(_outcome.classify(rc, text), rc, text)


def test_a_check_that_finds_nothing_covers_a_part():
    one = Repository()
    assert _check.run(one, {}, 4, [("files", "a" * 64)], now="n") == ([], {"parts": 4, "read": {"1": "n"}})
    assert one.asked == [["check"], ["check", "--read-data-subset=1/4"]]


def test_a_damaged_pack_is_named_with_its_files_and_uncovers_its_part():
    pack = "d" * 64
    text = "Pack ID does not match, want %s, got %s\nFatal: repository contains errors" % (pack, "e" * 64)
    found = b'[{"object_type":"blob","path":"/srv/a\\n","snapshot":"%s"}]' % (b"a" * 64)
    findings, coverage = _check.run(Repository(reading=(text, 1), found=found), {"parts": 1, "read": {"1": "m"}}, 1)
    assert [(f.id, f.subject, f.details["paths"], f.details["object_id"]) for f in findings] == [
        ("backup.repository.damaged", "near pack " + pack[:16], ["/srv/a\\x0a"], pack)
    ]
    assert coverage == {"parts": 1, "read": {}}


def test_a_lost_snapshot_is_missed_and_a_dead_server_is_no_damage():
    findings, _coverage = _check.run(Repository(), {}, 1, [("mail", "c" * 64)])
    assert [f.subject for f in findings] == ["near mail snapshot " + "c" * 16]
    findings, coverage = _check.run(Repository(structure=("dial tcp: connection refused", 1)), {"parts": 1, "read": {"1": "m"}}, 1)
    assert [f.id for f in findings] == ["backup.repository.unreachable"] and coverage["read"] == {"1": "m"}
    findings, _coverage = _check.run(Repository(structure=("something new: Fatal", 1)), {}, 1)
    assert [f.id for f in findings] == ["backup.repository.failed"]


def test_metrics_name_every_class_and_repository():
    state = backed_up()
    _state.record_proof(state, proof())
    text = _metrics.render(state, ["files", "mail"], _state.judge(_state.fresh(), JOB, ["files"], NOW), NOW)
    for line in (
        'intact_backup_last_success_timestamp_seconds{class="files",repository="near"} 1795316400.0',
        'intact_backup_last_success_timestamp_seconds{class="mail",repository="near"} 0',
        'intact_backup_objects{class="files",repository="far",what="sites"} 3',
        'intact_backup_restore_seconds{class="files",repository="far"} 61',
        'intact_backup_read_ratio{repository="far"} 1.0',
        'intact_backup_findings{severity="blocker"} 2',
    ):
        assert line in text.splitlines(), line
    assert text.count("# TYPE") == len(_metrics.METRICS)


def test_metrics_are_written_at_once_or_a_warning(tmp_path):
    path = str(tmp_path / "intact.prom")
    assert _metrics.write(path, "x 1\n") == []
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert [(f.id, f.severity) for f in _metrics.write(str(tmp_path / "no" / "x"), "")] == [("backup.unheard", "warning")]


def test_a_dead_ping_is_a_warning_that_does_not_tell_the_url(tmp_path):
    path = tmp_path / "ping"
    path.write_text("https://hc.example.com/geheim\n")
    os.chmod(str(path), 0o600)
    asked = []

    def opener(request, timeout):
        asked.append((request.full_url, request.data, timeout))
        return io.BytesIO(b"OK")

    assert _metrics.ping(str(path), True, "fine", opener=opener) == []
    assert _metrics.ping(str(path), False, "bad", opener=opener) == []
    assert asked == [("https://hc.example.com/geheim", b"fine", 10), ("https://hc.example.com/geheim/fail", b"bad", 10)]

    def fails(error):
        def opener(request, timeout):
            raise error

        return _metrics.ping(str(path), True, opener=opener)

    for error in (urllib.error.URLError("no route"), TimeoutError(), urllib.error.HTTPError("https://hc.example.com/geheim", 404, "no", {}, None)):
        found = fails(error)
        assert [f.severity for f in found] == ["warning"] and "geheim" not in found[0].evidence
    os.chmod(str(path), 0o644)
    assert "can be read by others" in _metrics.ping(str(path), True, opener=opener)[0].evidence
    assert _metrics.ping("", True) == []


def test_clocks():
    day = datetime.timedelta(days=1)
    assert _clock.judge("near", NOW, NOW + datetime.timedelta(minutes=4)) == []
    assert "ahead of" in _clock.judge("near", NOW, NOW - day)[0].evidence
    assert "behind" in _clock.judge("near", NOW, NOW + day)[0].evidence
    assert [f.id for f in _clock.judge("near", NOW, None, "2026-11-23T11:00:00.123456789Z")] == ["backup.clock"]
    assert _clock.judge("near", NOW, None, "2026-11-22T11:00:00.123456789Z") == []
    assert _clock.server_time({"url": "sftp:a:/b"}) is None
