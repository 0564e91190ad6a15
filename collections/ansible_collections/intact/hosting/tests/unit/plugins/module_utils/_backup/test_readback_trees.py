# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restored trees: looked at below a root, mended, renumbered, put in place, and refused where they must not come."""

from __future__ import annotations

import os
import struct

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _looks, _metadata, _placing, _rooted, _scratch
from ansible_collections.intact.hosting.plugins.module_utils._baseline import files
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

ROOT = os.geteuid() == 0
NOBODY = 2**32 - 1


def write(path, data=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def view(root, **more):
    return _rooted.Rooted(os.path.realpath(root), **more)


def acl(*named):
    entries = [(1, 6, NOBODY)] + [(2, bits, number) for number, bits in named] + [(4, 4, NOBODY), (16, 7, NOBODY), (32, 0, NOBODY)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_paths_are_looked_up_below_the_root_and_told_by_their_own_names(tmp_path):
    write(tmp_path / "etc" / "passwd", b"ann:x:1:1::/:/bin/sh\n")
    os.symlink("/etc", tmp_path / "absolute")
    os.symlink("../../../../etc", tmp_path / "climbing")
    os.symlink("loop", tmp_path / "loop")
    rooted = view(tmp_path)
    assert rooted.text("/etc/passwd").startswith("ann:") and rooted.text("/absolute/passwd") == rooted.text("/climbing/passwd") == rooted.text("/etc/passwd")
    assert rooted.read("/loop") is None and not rooted.exists("/etc/shadow") and rooted.realpath("/absolute/passwd") == "/etc/passwd"
    assert rooted.glob("/etc/*") == ["/etc/passwd"] and rooted.listdir("/") == ["absolute", "climbing", "etc", "loop"]
    assert rooted.readlink("/absolute") == "/etc" and rooted.lstat("/etc/passwd").st_size == 21


def test_a_pattern_does_not_lead_out_of_the_root(tmp_path):
    (tmp_path / "tree").mkdir()
    write(tmp_path / "secret" / "file")
    os.symlink(str(tmp_path / "secret"), tmp_path / "tree" / "out")
    assert view(tmp_path / "tree").glob("/*/file") == []


def test_nothing_of_this_host_is_asked(tmp_path):
    rooted = view(tmp_path, owners={"0": "their-root"})
    assert rooted.which("sh") is None and rooted.account(0) == "their-root" and rooted.group(0) is None
    with pytest.raises(IntactError, match="not of the restored tree"):
        rooted.run(["true"])


def test_the_walk_sees_the_same_below_a_root(tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    for top in (source, copy / str(source)[1:]):
        write(top / "a" / "file", b"content")
        os.link(top / "a" / "file", top / "a" / "other")
        os.symlink("/nowhere", top / "link")
    before = files.capture(System({"trees": [str(source)], "default_excludes": False, "privileged": []}))

    def make(_section):
        return view(copy, owners=before["owners"], groups=before["groups"])

    assert _looks.compare({"files": before}, make)[0] == []
    (copy / str(source)[1:] / "a" / "file").write_bytes(b"CONTENT")
    (finding,) = _looks.compare({"files": before}, make)[0]
    assert (finding.id, finding.subject) == ("files.content.changed", str(source / "a" / "file"))
    assert _looks.compare({"files": before}, make, volatile=[str(source / "a" / "file"), str(source / "a" / "other")])[0] == []


def test_holes_come_back_with_content_and_times(tmp_path):
    path = write(tmp_path / "sparse", b"\0" * (1 << 20) + b"end" + b"\0" * (1 << 20))
    os.utime(path, ns=(10**18, 10**18))
    content = path.read_bytes()
    assert _metadata.mend(os.fsencode(str(tmp_path)), {"/sparse": {"type": "file", "sparse": True}, "/gone": {"type": "file", "sparse": True}}) == {}
    state = path.stat()
    assert path.read_bytes() == content and state.st_mtime_ns == 10**18
    if _holes(tmp_path):
        assert state.st_blocks * 512 < 1 << 19


def _holes(directory):
    with open(directory / "probe", "wb") as handle:
        handle.truncate(1 << 20)
    return os.stat(directory / "probe").st_blocks == 0


def test_access_lists_are_renumbered_once_along_a_chain():
    ids = _metadata.Ids({1001: 1002, 1002: 1003, 5: 5})
    assert ids.users == {1001: 1002, 1002: 1003}
    assert ids.acl(acl((1001, 4), (1002, 6))) == acl((1002, 4), (1003, 6))
    assert ids.acl_text("user::rw-,user:1001:r--,user:1002:rw-,group::r--,mask::rwx,other::---") == (
        "user::rw-,user:1002:r--,user:1003:rw-,group::r--,mask::rwx,other::---"
    )
    data = {"items": {"/a": {"uid": 1001, "gid": 7, "acl": "user:1002:r--"}}, "owners": {"1001": "ann", "1002": "bob"}, "groups": {}}
    assert ids.data(data) == {"items": {"/a": {"uid": 1002, "gid": 7, "acl": "user:1003:r--"}}, "owners": {"1002": "ann", "1003": "bob"}, "groups": {}}


@pytest.mark.skipif(not ROOT, reason="chown")
def test_owners_follow_their_names_and_keep_set_id_bits(tmp_path):
    path = write(tmp_path / "program")
    os.chown(path, 1001, 1001)
    os.chmod(path, 0o4755)
    os.link(path, tmp_path / "again")
    assert _metadata.renumber(str(tmp_path), _metadata.Ids({1001: 1002, 1002: 1003}, {1001: 2001})) == 1
    state = path.stat()
    assert (state.st_uid, state.st_gid, oct(state.st_mode & 0o7777)) == (1002, 2001, "0o4755")


def test_what_differs_is_kept_aside_and_what_is_there_besides_stays(tmp_path):
    host, staging, aside = tmp_path / "host", tmp_path / "staging", tmp_path / "aside"
    for name, data in (("same", b"1"), ("old", b"ours"), ("kept", b"ours"), ("mine", b"ours")):
        write(host / "www" / name, data)
    for name, data in (("same", b"1"), ("old", b"backup"), ("kept", b"backup"), ("new", b"backup")):
        write(staging / "www" / name, data)
    write(staging / "www" / "deep" / "file", b"backup")
    placer = _placing.Placer(str(staging), str(aside), same=["/www/same"], keep=["/www/kept"], root=str(host))
    placer.place(b"/www")
    assert {p.name: p.read_bytes() for p in (host / "www").iterdir() if p.is_file()} == {
        "same": b"1",
        "old": b"backup",
        "kept": b"ours",
        "mine": b"ours",
        "new": b"backup",
    }
    assert (host / "www" / "deep" / "file").read_bytes() == b"backup" and (aside / "www" / "old").read_bytes() == b"ours"
    assert placer.overwritten == ["/www/old"] and not (staging / "www").exists()
    placer.place(b"/www")  # once more, as after a cut: nothing is left to do


def test_a_customers_link_is_replaced_and_not_followed(tmp_path):
    host, staging, outside = tmp_path / "host", tmp_path / "staging", tmp_path / "outside"
    write(outside / "passwd", b"precious")
    (host / "www").mkdir(parents=True)
    os.symlink(str(outside), host / "www" / "etc")
    write(staging / "www" / "etc" / "passwd", b"backup")
    _placing.Placer(str(staging), str(tmp_path / "aside"), root=str(host)).place(b"/www")
    assert (outside / "passwd").read_bytes() == b"precious" and not (host / "www" / "etc").is_symlink()
    assert (host / "www" / "etc" / "passwd").read_bytes() == b"backup"


@pytest.mark.parametrize(
    "path, word",
    [
        ("/", "whole host"),
        ("relative", "absolute"),
        ("/tmp/../tmp/x", "absolute"),
        ("/home/ann", "lives"),
        ("/etc", "lives there"),
        ("/var", "lies in it"),
        ("/var/lib", "lives"),
        ("/proc", "lives|mounted"),
    ],
)
def test_a_scratch_root_is_no_place_of_a_living_host(path, word):
    with pytest.raises(IntactError, match=word):
        _scratch.refuse(path)


def test_a_scratch_root_is_empty_and_no_link(tmp_path):
    write(tmp_path / "full" / "file")
    os.symlink(str(tmp_path / "full"), tmp_path / "link")
    for name, word in (("full", "not empty"), ("link", "link"), ("link/x", "link"), ("full/file", "no directory")):
        with pytest.raises(IntactError, match=word):
            _scratch.refuse(os.path.join(os.path.realpath(tmp_path), name))
    with pytest.raises(IntactError, match="lives"):
        _scratch.refuse(os.path.join(os.path.realpath(tmp_path), "full", "x"), live=[str(tmp_path / "full")])


def test_a_scratch_root_is_gone_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(_metadata, "holds_all", lambda _path: None)
    for path in (tmp_path / "made", tmp_path / "there"):
        if path.name == "there":
            path.mkdir()
        with pytest.raises(ZeroDivisionError), _scratch.Scratch(os.path.realpath(path)) as scratch:
            write(path / "x" / "file")
            with pytest.raises(IntactError, match="bigger disk"):
                scratch.room(1 << 62)
            raise ZeroDivisionError
        assert (path.name == "there") == path.exists() and (not path.exists() or not list(path.iterdir()))


def test_a_killed_drills_remains_are_swept_and_a_running_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(_metadata, "holds_all", lambda _path: None)
    write(tmp_path / "dead" / _scratch.MARK)
    write(tmp_path / "dead" / "tree" / "file")
    write(tmp_path / "other" / "file")
    with _scratch.Scratch(os.path.realpath(tmp_path / "alive")):
        assert _scratch.sweep(str(tmp_path)) == [str(tmp_path / "dead")]
        assert (tmp_path / "alive").exists() and (tmp_path / "other" / "file").exists()
