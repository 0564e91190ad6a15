# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which exports may go: none before what replaces it was read back."""

from __future__ import annotations

import datetime
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _retention, _run
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture as made

FILES = {"backup.tar": b"x" * 500}
VERDICTS = {"p": "proven", "u": "unproven"}


def day(number):
    return datetime.datetime(2026, 11, number, 3, 0, tzinfo=datetime.timezone.utc)


def settings(root, keep=7, keep_unproven=7):
    return _run.Settings(root=str(root), keep=keep, keep_unproven=keep_unproven)


def verdicts(root):
    return "".join(held.verdict[0] for held in _export.held(str(root)))


def exports(root, text, **more):
    """Exports with these verdicts, the newest first; their paths."""
    return [made.export(root, FILES, verdict=VERDICTS[one], moment=day(20 - number), **more) for number, one in enumerate(text)]


@pytest.mark.parametrize(
    "there, keep, keep_unproven, stays",
    [
        ("ppppp", 2, 7, "pp"),
        ("uupup", 1, 7, "uup"),  # newer unproven ones stay
        ("uuuuup", 1, 2, "uuuuup"),  # however many there are
        ("pupup", 2, 7, "pup"),
        ("puuu", 2, 7, "puuu"),  # fewer proven ones than wanted: all stay
        ("puuuup", 2, 2, "puup"),  # but unproven ones behind a proven one only so many
        ("pup", 0, 7, "p"),
        ("uuuuu", 1, 7, "uuuuu"),
        ("uuuuu", 1, 2, "uu"),  # never proven: the newest stay
        ("uuuuu", 1, 0, "u"),
    ],
)
def test_only_what_was_replaced_may_go(tmp_path, there, keep, keep_unproven, stays):
    exports(tmp_path, there)
    told = _retention.foretold("plesk", settings(tmp_path, keep, keep_unproven))
    assert verdicts(tmp_path) == there
    removed, found = _retention.prune("plesk", settings(tmp_path, keep, keep_unproven))
    assert removed == told and verdicts(tmp_path) == stays
    # that something unproven went, with nothing proven behind it, is said
    assert [(f.id, f.severity) for f in found] == ([("panel.export.removed", "warning")] if "p" not in there and len(there) > len(stays) else [])


def test_what_went_unproven_is_named_and_why(tmp_path):
    paths = exports(tmp_path, "uuu")
    (finding,) = _retention.prune("plesk", settings(tmp_path, keep_unproven=2))[1]
    assert os.path.basename(paths[2]) in finding.evidence and os.path.basename(paths[0]) in finding.subject and "panel_export_keep_unproven" in finding.remedy
    assert [os.path.exists(path) for path in paths] == [True, True, False]


@pytest.mark.parametrize("there", ["pp", "uuu"])
def test_nothing_goes_when_what_replaces_it_is_damaged(tmp_path, there):
    paths = exports(tmp_path, there)
    with open(os.path.join(paths[0], "backup.tar"), "ab") as handle:
        handle.write(b"x")
    with pytest.raises(IntactError, match="no older export is removed"):
        _retention.prune("plesk", settings(tmp_path, 1, 1))
    assert verdicts(tmp_path) == there


def test_a_mode_and_a_server_are_replaced_by_their_own_only(tmp_path):
    """Seven nights of settings must not cost the one full export, nor the first exports of a fresh host what was rescued of the old one."""
    full = made.export(tmp_path, FILES, moment=day(1), mode="full")
    other = made.export(tmp_path, FILES, moment=day(2), facts={"host": "web0", "host_id": "bb"})
    rescued = made.export(tmp_path, FILES, moment=day(3), facts={"rescued": {"kind": "disk"}})
    older, newer = made.export(tmp_path, FILES, moment=day(4)), made.export(tmp_path, FILES, moment=day(5))
    assert _retention.prune("plesk", settings(tmp_path, 1)) == ([older], [])
    assert all(os.path.isdir(path) for path in (full, other, rescued, newer))


def test_one_that_nobody_can_read_goes_behind_proven_ones_of_its_mode(tmp_path):
    unread, older, newer = (made.export(tmp_path, FILES, moment=day(number)) for number in (1, 2, 3))
    with open(os.path.join(unread, _export.DOCUMENT), "w") as handle:
        handle.write("{")
    assert _retention.prune("plesk", settings(tmp_path, 2)) == ([unread], [])
    assert os.path.isdir(older) and os.path.isdir(newer)


def test_nothing_is_there(tmp_path):
    assert _retention.prune("plesk", settings(tmp_path)) == ([], [])
