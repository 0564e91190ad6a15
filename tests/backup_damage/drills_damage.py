# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repositories with an object that is damaged or gone: a check names it. And one with nothing wrong."""

from __future__ import annotations

import datetime
import glob
import os
import shutil
import time

from damage_lab import UTC, at, drill, expect, filled, flip, good, largest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _check


@drill
def flipped_bit_in_a_pack():
    """Structure is fine, reading finds it; the part that was read counts no more."""
    one, shot = filled("flip")
    pack = largest("flip/data/*/*")
    flip(pack)
    found, coverage = _check.run(one, {}, 1, [("files", shot)])
    assert coverage.get("read") == {}, coverage
    # which of the large files are in it is a matter of who was read first
    assert any("/big" in path for finding in found for path in finding.details["paths"]), found
    return expect(found, "backup.repository.damaged", "pack " + os.path.basename(pack)[:16])


@drill
def missing_pack():
    """A pack with files' content is gone."""
    one, shot = filled("missing")
    pack = largest("missing/data/*/*")
    os.unlink(pack)
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "pack " + os.path.basename(pack)[:16])


@drill
def missing_pack_of_directories():
    """restic would retry for minutes for every directory: it is stopped when it is known."""
    one, shot = filled("trees")
    packs = sorted(glob.glob(at("trees/data/*/*")), key=os.path.getsize)
    os.unlink(packs[0])
    began = time.monotonic()
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    assert time.monotonic() - began < 90
    return expect(found, "backup.repository.damaged", "pack " + os.path.basename(packs[0])[:16])


@drill
def missing_index():
    """An index file is gone."""
    one, shot = filled("index")
    os.unlink(largest("index/index/*"))
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "index (missing)")


@drill
def flipped_bit_in_an_index():
    """An index file is damaged."""
    one, shot = filled("index2")
    path = largest("index2/index/*")
    flip(path)
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "index " + os.path.basename(path)[:16])


@drill
def flipped_bit_in_a_snapshot():
    """A snapshot's own file is damaged."""
    one, shot = filled("snap")
    flip(at("snap/snapshots", shot))
    shutil.rmtree(at("cache"))
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "snapshot " + shot[:10])


@drill
def missing_snapshot():
    """restic check finds nothing: only the state knows that there was one."""
    one, shot = filled("snap2")
    os.unlink(at("snap2/snapshots", shot))
    good(one.run(["check"]))
    found, _coverage = _check.run(one, {}, 1, [("files", shot)])
    return expect(found, "backup.repository.damaged", "files snapshot " + shot[:16])


@drill
def nothing_damaged():
    """Every part in turn, then the one read longest ago."""
    one, shot = filled("fine")
    coverage = {}
    for number in range(4):
        found, coverage = _check.run(one, coverage, 3, [("files", shot)], now="2026-11-2%dT00:00:00Z" % number)
        assert found == [], found
    assert coverage["read"] == {"1": "2026-11-23T00:00:00Z", "2": "2026-11-21T00:00:00Z", "3": "2026-11-22T00:00:00Z"}, coverage
    return str(_check.covered(coverage, datetime.datetime(2026, 11, 24, tzinfo=UTC)))
