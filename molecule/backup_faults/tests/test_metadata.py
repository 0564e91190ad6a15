# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight single pieces of metadata of a restored tree are changed: the drill finds these eight and nothing else, names of any bytes included."""

from __future__ import annotations

import json

import faults_lab as lab
import pytest

CHANGES = {
    "mode_bit": "/home/hilltop/notes.txt",
    "acl_entry": "/home/hilltop/www/menu.html",
    "xattr": "/home/hilltop/www/special/with-xattr.html",
    "capability": "/home/hilltop/bin/port-check",
    "hard_link": "/home/hilltop/www/links/linked-11-2.html",
    "owner": "/home/harbour/notes.txt",
    "sparse_hole": "/home/hilltop/www/special/sparse.img",
    "immutable_flag": "/home/hilltop/logs/contract.txt",
}


@pytest.fixture(scope="module")
def drilled():
    return lab.drill(["attic"], ["files"], disturbed=True, changes=CHANGES)


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_found_by_its_name(drilled, change):
    assert sorted(drilled["done"]) == sorted(CHANGES)
    subject = "attic files " + CHANGES[change]
    found = [finding for finding in drilled["findings"] if finding["subject"] == subject]
    assert [finding["severity"] for finding in found] == ["blocker"], drilled["findings"]


def test_it_is_these_eight_and_no_proof(drilled):
    assert sorted(finding["subject"] for finding in drilled["findings"]) == sorted("attic files " + path for path in CHANGES.values())
    assert drilled["repositories"]["attic"]["classes"]["files"]["result"] == "failed"


def test_names_of_any_bytes_were_among_what_was_compared(drilled):
    """The drill misses and finds none of what it was to compare: a name that had not survived would be told."""
    packed = lab.WEB1.run("sh", "-c", "zcat /var/lib/intact/backup/manifests/files.json.gz")
    names = [path.partition("/names/")[2] for path in json.loads(packed)["sections"]["files"]["items"]]
    for name in (r"new\x0aline.txt", r"latin1 \xe4\xf6\xfc\xdf.txt", "x" * 255, r"sub\x0afolder \xff/\xfe\x0a"):
        assert name in names
    assert any(name.startswith(r"the longest name \xe4") and name.count(r"\x") * 3 == len(name) - 255 for name in names)
