# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests as files and their comparison, without any tree: order, names, hard links, ids, classes."""

from __future__ import annotations

import gzip
import json
import random
import types

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _compare, _inode, _manifest_file, _record, _rules
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._trees import tree_lab as lab

NAMES = [
    b"plain",
    b'q"uote',
    b"back\\slash",
    b"\\x41",
    b"caf\xe9",
    "ümläut 漢字".encode(),
    b"new\nline",
    b"\x01\x7f",
    b"a b",
    b"a!b",
    b"a/b",
    b"a.b",
    b"a",
    b"\xff" * 255,
]


def body(**more):
    record = {"type": "file", "mode": "0644", "uid": 1001, "gid": 1001, "size": 5, "mtime": 10**18, "digest": "d1", **more}
    return json.dumps({key: value for key, value in record.items() if value is not None}, separators=(",", ":"), ensure_ascii=False)[1:-1].encode()


def write(path, entries, run=_manifest_file.RUN, **header):
    """entries: [(path, body)] or with the link's key."""
    writer = _manifest_file.Writer(path, run=run)
    writer.header.update(header)
    for name, text, *link in entries:
        row = writer.row(name, link[0] if link else b"", _record.line(_record.text(name), text))
        writer.add([row], len(row))
    writer.close()
    return path


def found(before, after, **more):
    comparison = _compare.compare(before, after, **more)
    return sorted((d["class"], d["path"], d.get("to"), sorted(d["attributes"])) for d in comparison), comparison.counts


@pytest.mark.parametrize("run", [1, 300, 1 << 20])
def test_records_are_sorted_by_bytes_however_many_runs(tmp_path, run):
    entries = [(name, body()) for name in NAMES]
    random.Random(run).shuffle(entries)
    reader = _manifest_file.Reader(write(tmp_path / "m.gz", entries, run))
    paths = [_record.raw_path(record["path"]) for record in reader.records()]
    assert paths == sorted(NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.gz"]


def test_names_of_one_inode_are_told_by_the_first(tmp_path):
    entries = [(b"z", body(), b"1:7:3"), (b"b/x", body(), b"1:7:3"), (b"c", body(), b"1:8:2"), (b"a", body())]
    records = {r["path"]: r.get("hardlink") for r in _manifest_file.Reader(write(tmp_path / "m.gz", entries)).records()}
    assert records == {"a": None, "b/x": None, "c": None, "z": "b/x"}


CASES = [
    ("match", body(), body(), []),
    ("changed", body(), body(digest="d2"), ["digest"]),
    ("changed", body(), body(type="link", target="/x", digest=None, size=None), ["digest", "size", "target", "type"]),
    ("metadata", body(), body(mode="4755"), ["mode"]),
    ("metadata", body(), body(acl="user::rw-"), ["acl"]),
    ("metadata", body(flags="immutable"), body(), ["flags"]),
    ("metadata", body(), body(mtime=10**18 + 1), ["mtime"]),
    ("changed-while-read", body(changed=True), body(changed=True), []),
    ("changed", body(size=9 << 20, allocated=4096), body(size=9 << 20), ["allocated"]),
    ("match", body(size=9 << 20, allocated=4096), body(size=9 << 20, allocated=65536), []),
]


@pytest.mark.parametrize(("kind", "before", "after", "attributes"), CASES)
@pytest.mark.parametrize("name", [b"plain", b"caf\xe9 \\x41"])
def test_classes(tmp_path, kind, before, after, attributes, name):
    differences, counts = found(write(tmp_path / "a.gz", [(name, before)]), write(tmp_path / "b.gz", [(name, after)]))
    assert counts[kind] == 1 and sum(counts.values()) == 1
    assert [(d[0], d[3]) for d in differences] == ([] if kind == "match" else [(kind, attributes)])


def test_moved_missing_extra_and_what_a_copy_does_not_make(tmp_path):
    before = [(b"a", body(digest="x1")), (b"gone", body(digest="x2")), (b"empty", body(size=0)), (b"s", body(type="socket", size=None, digest=None))]
    after = [(b"new/\xe9", body(digest="x1", mode="0600")), (b"come", body(digest="x3")), (b"vide", body(size=0))]
    differences, counts = found(write(tmp_path / "a.gz", before), write(tmp_path / "b.gz", after))
    assert differences == [
        ("extra", "come", None, []),
        ("extra", "vide", None, []),
        ("missing", "empty", None, []),
        ("missing", "gone", None, []),
        ("moved", "a", "new/\\xe9", ["mode"]),
    ]
    assert counts["match"] == 1
    assert ("missing", "s", None, []) in found(tmp_path / "a.gz", tmp_path / "b.gz", unmade=True)[0]


def test_times_are_compared_as_the_target_can_hold_them(tmp_path):
    before = write(tmp_path / "a.gz", [(b"f", body(mtime=10**18 + 999))], granularity=10**9)
    after = write(tmp_path / "b.gz", [(b"f", body())])
    assert found(before, after)[0] == []
    assert found(after, after)[0] == []
    assert found(before, after, granularity=1)[0] == [("metadata", "f", None, ["mtime"])]


IDS = types.SimpleNamespace(uid=lambda n: {1001: 2001, 1002: 1001, 1003: 1001}.get(n, n), gid=lambda n: n + 1)


def test_owners_and_acls_before_are_read_as_this_hosts(tmp_path):
    one = "user::rw-,user:1001:rwx,user:1002:r--,group::r--,group:5:r-x,mask::rwx,other::---"
    two = "user::rw-,user:1001:r--,user:2001:rwx,group::r--,group:6:r-x,mask::rwx,other::---"
    before = write(tmp_path / "a.gz", [(b"f", body()), (b'","uid":1,"gid":1', body()), (b"g", body(uid=1002)), (b"h", body(acl=one))])
    after = [(b"f", body(uid=2001, gid=1002)), (b'","uid":1,"gid":1', body(uid=2001, gid=1002)), (b"g", body()), (b"h", body(uid=2001, gid=1002, acl=two))]
    differences, counts = found(before, write(tmp_path / "b.gz", after), ids=IDS)
    # the group of g is as before, which is wrong here
    assert differences == [("metadata", "g", None, ["gid"])] and counts["match"] == 3


def test_two_accounts_that_become_one_get_what_both_had():
    given = lab.acl((2, 7, 1002), (2, 5, 1003), (8, 6, 5))
    assert _inode.Owners(IDS).acl(given) == lab.acl((2, 5, 1001), (8, 6, 6))
    assert _inode.Owners(None).acl(given) == given and _inode.Owners(IDS).acl(b"strange") == b"strange"


def test_damaged_manifests_are_named(tmp_path):
    path = write(tmp_path / "m.gz", [(b"%d" % number, body()) for number in range(500)])
    data = path.read_bytes()
    for name, wrong in (("cut", data[: len(data) // 2]), ("bits", data[:200] + bytes([data[200] ^ 255]) + data[201:])):
        (tmp_path / name).write_bytes(wrong)
        with pytest.raises(IntactError, match=name):
            list(_manifest_file.Reader(tmp_path / name).records())
    (tmp_path / "other.gz").write_bytes(gzip.compress(b'{"x": 1}\n'))
    with pytest.raises(IntactError, match="no manifest of a tree"):
        _manifest_file.Reader(tmp_path / "other.gz")


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        (["*.php"], b"a/b/x.php", True),
        (["*.php"], b"x.php", True),
        (["/a"], b"a", True),
        (["/a"], b"b/a", False),
        (["cache/"], b"home/bob/cache", True),
        (["caf\udce9"], b"x/caf\xe9", True),
        (["*.php"], b"x.php\nmore", False),
        ([], b"x", False),
    ],
)
def test_rules(patterns, path, excluded):
    assert _rules.Rules(patterns).excluded(path) is excluded
