# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Confirmations: what is refused, what counts as a yes, and that a file of an earlier flight or of a stranger is none."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _confirm
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

STAGES = ("bind", "full", "reboot")
GOOD = {"before": "reboot", "who": "the data centre", "how": "approval"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"before": "rebot"}, "no such stage: 'rebot'. There are: gate, bind, full, reboot"),
        ({"who": " "}, "names nobody"),
        ({"how": "mail"}, "prompt, file or approval"),
        ({"how": "file"}, "absolute path"),
        ({"how": "file", "path": "yes"}, "absolute path"),
        ({"place": "moon"}, "controller or host"),
        ({"minutes": "soon"}, "a number"),
        ({"minutes": -1}, "more than 0"),
        ({"phone": 1}, "no such key: phone"),
    ],
)
def test_what_nobody_could_answer_is_refused_by_name(change, words):
    with pytest.raises(IntactError) as error:
        _confirm.check([dict(GOOD, **change)], STAGES)
    assert words in str(error.value) and str(error.value).startswith("distro_upgrade_confirm")


def test_the_same_person_is_not_asked_twice_for_one_step():
    with pytest.raises(IntactError, match="asked twice"):
        _confirm.check([GOOD, GOOD], STAGES)


def test_they_come_in_the_order_of_the_steps_and_only_unanswered_ones_wait():
    entries = _confirm.check([GOOD, dict(GOOD, before="gate", who="boss"), dict(GOOD, before="full", who="customer"), dict(GOOD, who="boss")], STAGES)
    assert [e["before"] for e in entries] == ["gate", "full", "reboot", "reboot"]
    assert _confirm.stages(entries) == ["full", "reboot"]
    events = [{"event": "confirmation", "before": "reboot", "who": "boss"}, {"event": "note", "before": "full", "who": "customer"}]
    assert [(e["before"], e["who"]) for e in _confirm.missing(entries, events)] == [("gate", "boss"), ("full", "customer"), ("reboot", "the data centre")]


def test_a_yes_to_one_release_is_none_to_the_next_in_the_same_flight():
    entries = _confirm.check([{"before": "reboot", "who": "the data centre", "how": "prompt"}], ("reboot",))
    yes = {"event": "confirmation", "before": "reboot", "who": "the data centre"}
    hop = {"event": "flight.hop", "number": 2}
    assert _confirm.missing(entries, [yes]) == [] and _confirm.missing(entries, [hop, yes]) == []
    assert _confirm.missing(entries, [yes, hop]) == entries


@pytest.mark.parametrize(("text", "name"), [("", ""), ("\n\n", ""), ("J", ""), ("Jo Smith\nmore", "Jo Smith"), ("  Jo\x1b[2J ", "Jo[2J")])
def test_a_yes_has_a_name(text, name):
    assert _confirm.name(text, GOOD) == name


@pytest.mark.parametrize("text", ["no", "No.", "NEIN\n", "stop"])
def test_a_no_is_a_no(text):
    with pytest.raises(IntactError, match="the data centre said no before reboot"):
        _confirm.name(text, GOOD)


@pytest.mark.parametrize(
    ("before", "name"), [("reboot", "Jo"), ("gate, reboot", "Jo"), ("gate reboot", "Jo"), (["reboot"], "Jo"), ("gate", ""), ("", ""), ("rebooting", "")]
)
def test_an_approval_is_for_its_step(before, name):
    assert _confirm.approved(GOOD, before, " Jo ") == name
    assert _confirm.approved(GOOD, before, "") == ""


def entry(path, **more):
    return dict({"before": "reboot", "who": "x", "how": "file", "path": str(path), "place": "controller", "minutes": 1}, **more)


def test_the_file_is_read_when_it_may_count(tmp_path):
    path = tmp_path / "yes"
    assert _confirm.look(entry(path), 0) == (None, "")
    path.write_text("Jo\n")
    path.chmod(0o644)
    now = path.stat().st_mtime
    assert _confirm.look(entry(path), now) == ("Jo\n", "")
    assert _confirm.look(entry(path), now + _confirm.SKEW - 1) == ("Jo\n", "")
    text, problem = _confirm.look(entry(path), now + _confirm.SKEW + 1)
    assert not text and "earlier one" in problem


def test_a_link_a_directory_a_pipe_and_what_others_can_write_confirm_nothing(tmp_path):
    real = tmp_path / "real"
    real.write_text("Jo")
    (tmp_path / "link").symlink_to(real)
    assert "cannot be read" in _confirm.look(entry(tmp_path / "link"), 0)[1]
    assert "no plain file" in _confirm.look(entry(tmp_path), 0)[1]
    os.mkfifo(tmp_path / "pipe")
    assert "no plain file" in _confirm.look(entry(tmp_path / "pipe"), 0)[1]
    real.chmod(0o666)
    assert "by others" in _confirm.look(entry(real), 0)[1]
    real.chmod(0o600)
    tmp_path.chmod(0o777)
    assert "everybody can put files" in _confirm.look(entry(real), 0)[1]
    tmp_path.chmod(0o1777)
    assert _confirm.look(entry(real), 0) == ("Jo", "")


def asked(path):
    """What the shell command prints, as it would on the host."""
    command = _confirm.COMMAND % (path, os.path.dirname(path), path)
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False).stdout


def test_on_the_host_only_roots_file_in_roots_directory_counts(tmp_path):
    path, here = tmp_path / "yes", entry(tmp_path / "yes", place="host")
    assert _confirm.told(here, 0, asked(path)) == (None, "")
    path.write_text("Jo\nRoe")
    path.chmod(0o600)
    tmp_path.chmod(0o755)
    owner = os.getuid() == 0
    text, problem = _confirm.told(here, 0, asked(path).replace("\n", "\r\n"))
    assert (text == "Jo\nRoe") is owner and bool(problem) is not owner
    tmp_path.chmod(0o775)
    assert "must be root's" in _confirm.told(here, 0, asked(path))[1]
    tmp_path.chmod(0o755)
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert "no plain file" in _confirm.told(here, 0, asked(path))[1]


def test_who_is_asked_is_said():
    lines = [_confirm.said(e) for e in _confirm.check([GOOD, entry("/run/x", who="boss"), dict(GOOD, before="gate", how="prompt")], STAGES)]
    assert lines[0].startswith("before take-off the data centre is asked at the terminal")
    assert "intact_approved_before: reboot" in lines[1] and "/run/x on the controller (within 1 minutes)" in lines[2]
