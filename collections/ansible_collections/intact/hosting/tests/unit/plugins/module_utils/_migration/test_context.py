# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A migration's directory: documents that survive a kill, one run at a time, progress; phases in their order, once, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _arguments, _attached, _context, _phases
from ansible_collections.intact.hosting.plugins.module_utils._system import System

COLLECTIONS = str(Path(_context.__file__).resolve().parents[6])
# A child writes documents that are whole only when every number in them is the same, as fast as it can.
WRITER = """
import sys
sys.path.insert(0, %r)
from ansible_collections.intact.hosting.plugins.module_utils._migration._context import Context, fresh
context, number = Context(sys.argv[1], sys.argv[2]), 0
while True:
    number += 1
    context.save(dict(fresh("files"), status="running", counts={"n%%d" %% i: number for i in range(3000)}))
    if number == 1:
        print("begun", flush=True)
"""
HOLDER = """
import sys
sys.path.insert(0, %r)
from ansible_collections.intact.hosting.plugins.module_utils._migration._context import Context
with Context(sys.argv[1], sys.argv[2], phase="mail").locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(name="context")
def fixture_context(tmp_path):
    old = tmp_path / "old"
    (old / "etc").mkdir(parents=True)
    (old / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:501:501::/home/alice:/bin/sh\nftp1:x:501:501::/home/alice:/bin/false\n")
    return _context.Context(str(old), str(tmp_path / "migrations" / "web1"), {"token": "S/1"})


def child(code, context):
    process = subprocess.Popen([sys.executable, "-c", code % COLLECTIONS, context.root, context.directory], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout.readline()
    return process


def gone(process):
    process.kill()
    process.communicate()


@pytest.fixture(name="phase")
def fixture_phase(monkeypatch):
    """A phase that notes how it was called and does what it is told."""
    step = types.SimpleNamespace(calls=[], does=lambda context, check: {"counts": {"done": 1}})

    def run(context, check=False):
        step.calls.append(check)
        return step.does(context, check)

    step.run = run
    monkeypatch.setattr(_phases, "module", lambda name: step)
    return step


def test_a_document_is_written_for_its_owner_only_and_read_again(context):
    assert context.document("files") == _context.fresh("files") and not context.finished("files")
    made = context.save(dict(_context.fresh("files"), status="done", findings=[Finding("files.x", "warning", "a", "b")]))
    assert made["findings"][0]["id"] == "files.x" and context.document("files") == made and context.finished("files")
    assert os.stat(context.path("files.json")).st_mode & 0o777 == 0o600 and os.stat(context.directory).st_mode & 0o777 == 0o700


def test_a_kill_in_the_middle_of_writing_leaves_a_whole_document(context):
    for _round in range(5):
        process = child(WRITER, context)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        counts = set(context.document("files")["counts"].values())
        assert len(counts) == 1, "the document is a mixture of two"


def test_the_control_a_writer_without_rename_is_caught_torn(context, tmp_path):
    """The check above sees what it is for: a file that is written in place is torn."""
    context.prepare()
    Path(context.path("files.json")).write_text('{"phase": "files", "counts": {"n0"')
    with pytest.raises(IntactError, match=r"files\.json can't be read .*put it aside"):
        context.document("files")


def test_a_directory_that_others_may_write_is_refused(context):
    context.prepare()
    os.chmod(context.directory, 0o755)
    with pytest.raises(IntactError, match="open to others"):
        context.save(_context.fresh("files"))


def test_a_second_run_is_told_who_works_and_may_go_on_when_that_one_is_killed(context):
    process = child(HOLDER, context)
    try:
        with pytest.raises(IntactError, match=r"worked on by process %d \(phase mail" % process.pid), context.locked():
            pass
    finally:
        gone(process)
    with context.locked():
        pass


def test_the_owner_of_an_old_file_is_the_first_of_two_names(context):
    assert context.old.account(501) == "alice" and context.old.account(502) is None


def test_progress_is_printable_bounded_and_never_an_error(context):
    context.tell("nothing is there yet")
    context.prepare()
    context.tell(b"caf\xe9\n" + b"x" * 1000)
    (line,) = context.progress()
    assert "caf\\xe9\\x0a" in line and len(line) < _context.LONGEST + 60
    for number in range(40):
        context.tell("line %d" % number)
    assert context.progress(3)[-1].endswith("line 39") and len(context.progress(3)) == 3


def test_without_an_identity_map_it_says_what_to_run(context):
    with pytest.raises(IntactError, match="run the phase identity first"):
        context.identity()


def test_phases_have_an_order_in_which_ids_come_before_what_is_owned():
    for phase, needed in _phases.NEEDS.items():
        assert all(_phases.ORDER.index(name) < _phases.ORDER.index(phase) for name in needed), phase
    assert set(_phases.NEEDS) == set(_phases.ORDER) and "accounts" in _phases.NEEDS["files"]


def test_a_phase_waits_for_those_that_it_needs(context, phase):
    with pytest.raises(IntactError, match="files needs identity and accounts first"):
        _phases.run(context, "files")
    assert phase.calls == []


def test_a_phase_runs_once_and_again_when_its_settings_change_or_it_is_forced(context, phase):
    assert _phases.run(context, "plan")["action"] == "start"
    assert _phases.run(context, "plan")["action"] == "nothing" and phase.calls == [False]
    changed = _context.Context(context.root, context.directory, {"token": "S/1", "plan": "other"})
    assert _phases.run(changed, "plan")["action"] == "again"
    assert _phases.run(changed, "plan", force=True)["action"] == "again" and len(phase.calls) == 3


def test_a_phase_that_was_killed_goes_on(context, phase):
    context.save(dict(_context.fresh("plan"), status="running"))
    ran = _phases.run(context, "plan")
    assert ran["action"] == "continue" and ran["document"]["status"] == "done"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (IntactError("the disk is full"), "the disk is full"),
        (OSError(28, "No space left", "/srv/a\nb"), r"/srv/a\\x0ab: No space"),
        (KeyError("uid"), "KeyError"),
    ],
)
def test_a_phase_that_breaks_says_so_in_one_sentence_and_goes_on_the_next_time(context, phase, error, said):
    def breaks(_context, _check):
        raise error

    works, phase.does = phase.does, breaks
    with pytest.raises(IntactError, match=said):
        _phases.run(context, "plan")
    document = context.document("plan")
    assert document["status"] == "failed" and document["findings"][0]["severity"] == "blocker"
    phase.does = works
    assert _phases.run(context, "plan")["action"] == "continue"
    assert context.document("plan")["findings"] == []


def test_check_mode_foretells_and_writes_nothing(context, phase):
    ran = _phases.run(context, "plan", check=True)
    assert ran["changed"] and phase.calls == [True] and not os.path.exists(context.directory)
    assert _phases.run(context, "files", check=True)["waits_for"] == ["identity", "accounts"] and phase.calls == [True]


def test_a_migration_is_of_one_disk(context):
    _phases.claim(context, "S/1")
    about = json.loads(Path(context.path("migration.json")).read_text())
    assert about["token"] == "S/1" and about["root"] == context.root
    with pytest.raises(IntactError, match="is of the disk S/1, not of T/2"):
        _phases.claim(context, "T/2")


@pytest.mark.parametrize("name", ["a", "../web1", "a..b", "Web", ""])
def test_a_migration_has_a_plain_name(name, tmp_path):
    with pytest.raises(IntactError, match="is no name for a migration"):
        _arguments.context({"migration": name, "directory": str(tmp_path)}, "files", System())


@pytest.fixture(name="mounted")
def fixture_mounted(tmp_path):
    """A tmpfs, mounted read-only where a disk would be, and what legacy_volume writes of it."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    root = tmp_path / "mnt"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,nodev,nosuid,noexec", "intact-test", str(root)], check=True)
    state = tmp_path / "overlays" / "S-1" / "state.json"
    state.parent.mkdir(parents=True)
    document = {"token": "S/1", "path": str(root), "status": "attached", "mounts": [{"source": "intact-test", "target": str(root)}]}
    state.write_text(json.dumps(document))
    yield types.SimpleNamespace(root=str(root), overlays=str(tmp_path / "overlays"), state=state, document=document)
    subprocess.run(["umount", str(root)], check=True)


def test_the_disk_of_the_token_is_accepted(mounted):
    assert _attached.check(System(), mounted.root, "S/1", mounted.overlays)["token"] == "S/1"


def test_another_disk_is_refused_by_name(mounted):
    with pytest.raises(IntactError, match=r"is S/1, and the token asks for S/2.*nothing was done"):
        _attached.check(System(), mounted.root, "S/2", mounted.overlays)


def test_another_device_at_the_same_place_is_refused(mounted):
    mounted.document["mounts"][0]["source"] = "/dev/loop77"
    mounted.state.write_text(json.dumps(mounted.document))
    with pytest.raises(IntactError, match="legacy_volume had put /dev/loop77 there"):
        _attached.check(System(), mounted.root, "S/1", mounted.overlays)


def test_one_that_is_half_attached_is_refused(mounted):
    mounted.state.write_text(json.dumps(dict(mounted.document, status="detaching")))
    with pytest.raises(IntactError, match="half attached"):
        _attached.check(System(), mounted.root, "S/1", mounted.overlays)


def test_a_disk_that_can_be_written_is_refused(mounted):
    subprocess.run(["mount", "-o", "remount,rw", mounted.root], check=True)
    with pytest.raises(IntactError, match="mounted so that it can be written"):
        _attached.check(System(), mounted.root, "S/1", mounted.overlays)


def test_a_mount_of_somebody_else_and_no_mount_at_all_are_refused(mounted, tmp_path):
    mounted.state.unlink()
    with pytest.raises(IntactError, match="not by legacy_volume"):
        _attached.check(System(), mounted.root, "S/1", mounted.overlays)
    for root in (str(tmp_path), "/"):
        with pytest.raises(IntactError, match="no disk is mounted"):
            _attached.check(System(), root, "S/1", mounted.overlays)


def test_a_start_waits_for_one_that_a_dead_controller_left_at_work(context):
    holder = child(HOLDER, context)
    try:
        with pytest.raises(IntactError, match="being worked on by process"), context.locked():
            pass
        begun = time.monotonic()
        subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {holder.pid}"])
        with context.locked(wait=60):
            assert time.monotonic() - begun > 0.9
        assert any("waits for process %d" % holder.pid in line for line in context.progress(20))
    finally:
        gone(holder)
