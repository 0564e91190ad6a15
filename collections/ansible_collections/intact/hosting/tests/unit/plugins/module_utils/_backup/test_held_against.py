# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repository lists is held against the manifest."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _held_against

ITEMS = {
    "/srv": {"type": "dir", "mode": "0755", "uid": 0, "gid": 0},
    "/srv/caf\\xe9": {"type": "file", "mode": "4755", "uid": 1, "gid": 2, "size": 5},
    "/srv/link": {"type": "link", "uid": 0, "gid": 0, "target": "x"},
    "/srv/odd": {"type": "unknown", "state": "unreadable: EIO"},
}


def node(path, kind="file", size=0, mode=0o644, uid=0, gid=0):
    return {"path": path, "type": kind, "size": size, "mode": mode, "uid": uid, "gid": gid}


GOOD = [
    node(b"/srv", "dir", mode=(1 << 31) | 0o755),
    node(b"/srv/caf\xe9", size=5, mode=(1 << 23) | 0o755, uid=1, gid=2),
    node(b"/srv/link", "symlink", mode=0o777),
]


def test_equal():
    assert _held_against.differences(ITEMS, GOOD + [node(b"/srv/newer")]) == []


def test_each_difference_is_named():
    for change, word in (({"size": 4}, "4 bytes"), ({"mode": 0o755}, "mode 0755"), ({"uid": 9}, "9:2"), ({"type": "dir"}, "is a dir")):
        nodes = [GOOD[0], dict(GOOD[1], **change), GOOD[2]]
        found = _held_against.differences(ITEMS, nodes)
        assert [path for path, _said in found] == ["/srv/caf\\xe9"] and word in found[0][1]
        assert _held_against.differences(ITEMS, nodes, volatile=["/srv/caf\\xe9"]) == []


def test_missing_names_are_findings():
    found = _held_against.differences(ITEMS, GOOD[:2], known=[b"/root/.forward"])
    assert found == [("/root/.forward", "is not in the snapshot"), ("/srv/link", "is not in the snapshot")]
    finding = _held_against.findings("files", "vault", found)[0]
    assert (finding.id, finding.severity, finding.subject) == ("backup.snapshot.incomplete", "blocker", "vault files /root/.forward")


def test_many_are_one_finding():
    found = _held_against.findings("files", "vault", [("/srv/%d" % n, "is not in the snapshot") for n in range(500)])
    assert len(found) == 1 and "500 paths" in found[0].subject and len(found[0].details["paths"]) == 500
