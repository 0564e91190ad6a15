# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of real trees: all that an inode carries arrives, a second run does nothing, nothing that was there is lost, and each mutation is found."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _content, _copy, _kernel, _verify
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._trees import tree_lab as lab


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A mounted ext4 of our own."""
    with lab.mounted(tmp_path_factory.mktemp("disk") / "ext4", "160M", options=("-b", "4096")) as (top, _image):
        yield top


@pytest.fixture
def trees(disk, request, tmp_path):
    """source (rich, on ext4), target (not there yet), place (state and manifest)."""
    top = disk / request.node.name[:60]
    (top / "source").mkdir(parents=True)
    lab.rich(top / "source")
    yield top / "source", top / "target", tmp_path / "place"
    lab.free(top)
    shutil.rmtree(top)


def test_everything_arrives_by_three_witnesses(trees):
    source, target, place = trees
    result = lab.copy(source, target, place)
    assert result["told"] == [] and result["changed"]
    assert lab.rsync(source, target) == [] and lab.rsync(source=target, target=source) == []
    assert lab.differences(place / "manifest.gz", target) == []
    proof = _verify.verify(target, place / "manifest.gz", extra=True)
    assert proof["findings"] == [] and proof["counts"]["match"] > 40
    sparse = os.stat(target / "home/bob/sparse")
    assert sparse.st_size == 30 << 20 and sparse.st_blocks * 512 < 1 << 20
    assert os.stat(target / "home/bob/plain").st_ino == os.stat(target / "home/alice/same-as-plain").st_ino
    assert stat.S_IMODE(os.stat(target / "home/bob/plain").st_mode) == 0o4755
    assert os.getxattr(target / "home/bob/www/index.php", "security.capability") == lab.CAPABILITY
    # what is made in a directory with a default ACL has not inherited it
    assert "system.posix_acl_access" not in os.listxattr(target / "home/bob/www/index.php")


def test_second_run_reads_and_changes_nothing(trees):
    source, target, place = trees
    lab.copy(source, target, place)
    first = (place / "manifest.gz").read_bytes()
    before = lab.rsync(source, target)
    result = lab.copy(source, target, place)
    assert (result["changed"], result["told"], result["counts"]["copied"], result["counts"]["replaced"]) == (False, [], 0, 0)
    assert result["bytes"] < 20_000, "only hard links are read again"
    assert lab.copy(source, target, place)["bytes"] == 0
    assert (place / "manifest.gz").read_bytes() == first
    assert lab.rsync(source, target) == before == []
    assert lab.copy(source, target, place, compare="content")["changed"] is False


def test_check_mode_writes_nothing_and_predicts(trees):
    source, target, place = trees
    result = lab.copy(source, target, place, check=True, manifest=None)
    assert result["changed"] and not target.exists() and not (place / "state").exists()
    real = lab.copy(source, target, place)
    for key in ("copied", "hardlinks", "directories"):
        assert result["counts"][key] == real["counts"][key], key
    assert lab.copy(source, target, place, check=True, manifest=None)["changed"] is False
    (source / "home/bob/plain2").write_text("new")
    predicted = lab.copy(source, target, place, check=True, manifest=None)
    assert [line for line in predicted["steps"] if line.startswith("file")] == ["file %s" % (target / "home/bob/plain2")]
    assert not (target / "home/bob/plain2").exists()


def test_flags_are_kept_and_set_last(trees):
    source, target, place = trees
    lab.mark(source / "home/bob/plain", ["immutable"])  # a file with three names
    lab.mark(source / "home/bob/www/empty", ["immutable"])
    lab.mark(source / "home/bob/with-acl", ["append"])
    assert lab.copy(source, target, place)["told"] == []
    assert lab.differences(place / "manifest.gz", target) == []
    with pytest.raises(PermissionError):
        os.unlink(target / "home/bob/plain")
    with pytest.raises(PermissionError):
        os.mkdir(target / "home/bob/www/empty/x")
    again = lab.copy(source, target, place)
    assert (again["changed"], again["told"]) == (False, [])


class Ids:
    """1001 -> 2001, 1002 -> 1001 (a chain), what is unknown -> 900000 and more; 0 and 33 stay."""

    def uid(self, number):
        return {0: 0, 33: 33, 1001: 2001, 1002: 1001}.get(number, 900_000 + number)

    gid = uid


def test_owners_and_acls_get_this_hosts_numbers(trees):
    source, target, place = trees
    os.chown(source / "home/bob/www/index.php", 5555, 5555)
    lab.copy(source, target, place, ids=Ids())
    assert os.stat(target / "home/bob").st_uid == 1001 and os.stat(target / "home/alice").st_uid == 2001
    assert os.stat(target / "home/bob/www/index.php").st_uid == 905_555
    assert os.lstat(target / "home/bob/dangling").st_uid == 1001
    assert os.getxattr(target / "home/bob/with-acl", "system.posix_acl_access") == lab.acl((2, 5, 2001), (8, 6, 1001))
    assert os.getxattr(target / "home/bob/www", "system.posix_acl_default") == lab.acl((2, 7, 2001))
    assert lab.differences(place / "manifest.gz", target, Ids()) == []
    # the control: without the map the same comparison fails
    assert ("metadata", "home/bob", ["gid", "uid"]) in lab.differences(place / "manifest.gz", target)
    assert lab.copy(source, target, place, ids=Ids())["changed"] is False


def flip(path):
    with open(path, "r+b") as handle:
        state = os.fstat(handle.fileno())
        first = handle.read(1)
        handle.seek(0)
        handle.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def part(path):
    """Give a hard link an inode of its own with the same content and metadata."""
    state = os.stat(path)
    with open(path, "rb") as handle:
        data = handle.read()
    values = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    os.unlink(path)
    with open(path, "wb") as handle:
        handle.write(data)
    for name in os.listxattr(path):
        os.removexattr(path, name)
    os.chown(path, state.st_uid, state.st_gid)
    os.chmod(path, stat.S_IMODE(state.st_mode))
    for name, value in values.items():
        os.setxattr(path, name, value)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


B = "home/bob/"
# name, mutation of the target, what has to be found
MUTATIONS = (
    ("a byte", lambda t: flip(t / B / "with-acl"), [("changed", B + "with-acl", ["digest"])]),
    ("a mode bit", lambda t: os.chmod(t / B / "sparse", 0o646), [("metadata", B + "sparse", ["mode"])]),
    (
        "an ACL entry",
        lambda t: os.setxattr(t / B / "with-acl", "system.posix_acl_access", lab.acl((2, 7, 1001), (8, 6, 1002))),
        [("metadata", B + "with-acl", ["acl"])],
    ),
    ("a default ACL", lambda t: os.removexattr(t / B / "www", "system.posix_acl_default"), [("metadata", B + "www", ["default_acl"])]),
    ("an attribute", lambda t: os.setxattr(t / B, "user.note", b"other"), [("metadata", "home/bob", ["xattr"])]),
    ("a hard link", lambda t: part(t / B / "www/third"), [("metadata", B + "www/third", ["hardlink"])]),
    ("an owner", lambda t: os.chown(t / B / "pipe", 1003, -1), [("metadata", B + "pipe", ["uid"])]),
    ("a flag", lambda t: lab.mark(t / B / "sparse", ["immutable"]), [("metadata", B + "sparse", ["flags"])]),
    ("a time", lambda t: os.utime(t / B / "sparse", ns=(1, 1_200_000_000_987_654_322)), [("metadata", B + "sparse", ["mtime"])]),
    ("a capability", lambda t: os.removexattr(t / B / "www/index.php", "security.capability"), [("metadata", B + "www/index.php", ["capability"])]),
    ("a link's aim", None, [("changed", B + "dangling", ["target"])]),
    ("a hole", None, [("changed", B + "sparse", ["allocated"])]),
)


def aim(target):
    state = os.lstat(target / B / "dangling")
    os.unlink(target / B / "dangling")
    os.symlink("/elsewhere", target / B / "dangling")
    os.chown(target / B / "dangling", 1002, 1002, follow_symlinks=False)
    os.utime(target / B / "dangling", ns=(1, state.st_mtime_ns), follow_symlinks=False)


def fill(target):
    path = target / B / "sparse"
    state, data = os.stat(path), path.read_bytes()
    with open(path, "r+b") as handle:
        handle.write(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(("name", "mutation", "expected"), MUTATIONS, ids=[name for name, _m, _e in MUTATIONS])
def test_each_mutation_is_found(trees, name, mutation, expected):
    source, target, place = trees
    lab.copy(source, target, place)
    keep = os.stat(target / B)
    (mutation or {"a link's aim": aim, "a hole": fill}[name])(target)
    os.utime(target / B, ns=(keep.st_atime_ns, keep.st_mtime_ns))
    os.utime(target / B / "www", ns=(1, 1_200_000_000_987_654_321))
    assert lab.differences(place / "manifest.gz", target) == expected


def test_removed_added_and_moved_files_are_found(trees):
    source, target, place = trees
    lab.copy(source, target, place)
    cur = "home/alice/Maildir/cur/"
    os.unlink(target / (cur + "1700000007.M1:2,S"))
    os.rename(target / (cur + "1700000009.M1:2,S"), target / (cur + "1700000009.M1:2,RS"))
    (target / cur / "new").write_text("mail that came meanwhile")
    assert lab.differences(place / "manifest.gz", target) == [
        ("extra", cur + "new", []),
        ("metadata", cur[:-1], ["mtime"]),
        ("missing", cur + "1700000007.M1:2,S", []),
        ("moved", cur + "1700000009.M1:2,S", []),
    ]


def test_sockets_and_devices_are_told_not_made(trees):
    source, target, place = trees
    with socket.socket(socket.AF_UNIX) as server:
        held = os.open(source, os.O_RDONLY)
        server.bind("/proc/self/fd/%d/home/s" % held)
        os.close(held)
    os.mknod(source / "home/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    result = lab.copy(source, target, place)
    assert result["told"] == [("not-made", str(target / "home/null")), ("not-made", str(target / "home/s"))]
    assert not (target / "home/s").exists() and not (target / "home/null").exists()
    assert _verify.verify(target, place / "manifest.gz")["findings"] == []
    assert _verify.second_opinion(source, target)["counts"] == {"rsync": 0, "ignored": 2}


@pytest.mark.parametrize("existing", ["aside", "keep", "refuse"])
def test_what_was_there_is_never_lost(trees, existing):
    source, target, place = trees
    (target / "home/bob").mkdir(parents=True)
    (target / "home/bob/plain").write_text("newer than the old disk")
    (target / "home/alice").symlink_to("/tmp")
    (target / "home/mine").write_text("only here")
    result = lab.copy(source, target, place, existing=existing)
    assert (target / "home/mine").read_text() == "only here"
    assert not os.path.lexists("/tmp/Maildir")
    kept = [path for path in target.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size == 23]
    assert [path.read_text() for path in kept] == ["newer than the old disk"]
    told = {kind for kind, _subject in result["told"]}
    if existing == "aside":
        assert told == {"aside", "directory"} and kept[0].parts[-3] == ".intact-aside"
        assert (target / "home/bob/plain").read_bytes() == b"12345678" * 100
        assert lab.rsync(source, target) == []
        again = lab.copy(source, target, place, existing=existing)
        assert (again["changed"], again["told"]) == (False, [])
    else:
        assert told - {"links-outside"} == {"kept" if existing == "keep" else "refused"} and kept == [target / "home/bob/plain"]
        assert (target / "home/alice").is_symlink()


def test_a_file_that_a_customer_changed_after_the_copy_is_put_aside_ours_is_replaced(trees):
    source, target, place = trees
    lab.copy(source, target, place)
    (target / "home/bob/with-acl").write_text("the customer's")
    (source / "home/bob/www/index.php").write_text("newer on the source")
    result = lab.copy(source, target, place)
    assert result["told"] == [("aside", str(target / "home/bob/with-acl"))]
    assert result["counts"]["replaced"] == 1
    assert (target / ".intact-aside/000001/with-acl").read_text() == "the customer's"
    assert lab.rsync(source, target) == []


def test_paths_longer_than_the_kernel_takes(trees, tmp_path):
    source, target, place = trees
    fd = os.open(source, os.O_RDONLY)
    for number in range(120):
        name = b"%03d-" % number + b"d" * 60
        os.mkdir(name, dir_fd=fd)
        deeper = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(os.open(b"at the end", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=fd))
    os.close(fd)
    assert lab.copy(source, target, place)["told"] == []
    assert lab.differences(place / "manifest.gz", target) == []
    assert lab.copy(source, target, place)["changed"] is False


def test_rules_leave_out_and_say_so(trees):
    source, target, place = trees
    result = lab.copy(source, target, place, rules=["/home/alice", "*.php"])
    assert result["told"] == [("excluded", str(target / "home/alice")), ("excluded", str(target / "home/bob/www/index.php")), ("links-outside", str(target))]
    assert not (target / "home/alice").exists()


def test_a_huge_hole_is_not_hashed_zero_by_zero(trees):
    source, target, place = trees
    with open(source / "huge", "wb") as handle:
        handle.truncate(8 << 40)
        handle.seek((4 << 40) + 5000)
        handle.write(b"x" * 70_000)
    assert lab.copy(source, target, place)["told"] == []
    assert os.stat(target / "huge").st_blocks * 512 < 1 << 20
    assert lab.differences(place / "manifest.gz", target) == []
    with open(target / "huge", "r+b") as handle:
        state = os.fstat(handle.fileno())
        handle.seek((4 << 40) + 5001)
        handle.write(b"y")
        handle.flush()
        os.utime(handle.fileno(), ns=(1, state.st_mtime_ns))
    assert lab.differences(place / "manifest.gz", target) == [("changed", "huge", ["digest"])]


def test_a_source_that_is_a_link_is_not_followed_into_the_live_system(trees):
    source, target, place = trees
    (source / "var").symlink_to("/etc")
    for path in (source / "var", source / "var/apt"):
        with pytest.raises(IntactError, match="var is a link to /etc, which is not followed"):
            lab.copy(path, target, place)


def test_one_entry_that_can_not_be_made_does_not_stop_the_rest(trees, tmp_path, monkeypatch):
    source, target, place = trees
    real = os.open

    def refusing(path, flags, *args, **kwargs):
        if path == b"with-acl" and flags & os.O_CREAT:
            raise OSError(122, "Disk quota exceeded")
        if path == b"index.php" and not flags & os.O_CREAT:
            raise OSError(5, "Input/output error")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing)
    result = lab.copy(source, target, place)
    monkeypatch.undo()
    told = set(result["told"])
    assert ("unwritable", str(target / "home/bob/with-acl")) in told and ("unreadable", str(target / "home/bob/www/index.php")) in told
    assert lab.copy(source, target, place)["told"] == []
    assert lab.rsync(source, target) == []


@pytest.mark.parametrize(
    ("name", "times"), [("home/bob/with-acl", 1), ("home/bob/with-acl", 99), ("home/bob/www/index.php", 1), ("home/bob/www/index.php", 99)]
)
def test_files_that_change_while_they_are_read(trees, monkeypatch, name, times):
    source, target, place = trees
    wanted, left = os.stat(source / name).st_ino, [times]
    real = _content.Content

    class Disturbed(real):
        def disturb(self, fd):
            if os.fstat(fd).st_ino == wanted and left[0]:
                left[0] -= 1
                with open(source / name, "ab") as handle:
                    handle.write(b"more")

        def small(self, fd, size):
            data = super().small(fd, size)
            self.disturb(fd)
            return data

        def stream(self, fd, state, out=None):
            digest = super().stream(fd, state, out)
            self.disturb(fd)
            return digest

    monkeypatch.setattr(_content, "Content", Disturbed)
    result = lab.copy(source, target, place)
    monkeypatch.undo()
    if times == 1:
        assert [(f.subject, f.evidence) for f in result["findings"]] == [] and (target / name).read_bytes() == (source / name).read_bytes()
        assert lab.differences(place / "manifest.gz", target) == []
    else:
        assert result["told"] == [("changed-while-read", str(target / name))]
        assert [found[:2] for found in lab.differences(place / "manifest.gz", target)] == [("changed-while-read", name)]
        # nobody disturbs the second run
        assert lab.copy(source, target, place)["told"] == []
        assert (target / name).read_bytes() == (source / name).read_bytes()


def test_a_target_that_holds_whole_seconds_only(trees, tmp_path):
    source, _target, place = trees
    with lab.mounted(tmp_path / "old", "48M", options=("-I", "128")) as (top, _image):
        result = lab.copy(source, top / "t", place)
        assert (result["told"], result["granularity"]) == ([], 10**9)
        assert os.stat(top / "t/home/bob/sparse").st_mtime_ns % 10**9 == 0
        assert lab.differences(place / "manifest.gz", top / "t") == []
        assert lab.copy(source, top / "t", place)["changed"] is False
        os.utime(top / "t/home/bob/sparse", (1, 1))
        assert lab.differences(place / "manifest.gz", top / "t") == [("metadata", "home/bob/sparse", ["mtime"])]


def test_what_the_target_can_not_keep_is_told(trees, tmp_path):
    source, _target, place = trees
    lab.mark(source / "home/bob/with-acl", ["immutable"])
    top = tmp_path / "ramfs"
    top.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "none", top], check=True)
    try:
        told = lab.copy(source, top / "t", place)["findings"]
        assert {f.id for f in told} == {"tree_copy.unkept"}
        said = {f.subject[len(str(top / "t")) :] + " " + f.evidence.split(":")[0] for f in told}
        assert {"/home/bob/with-acl system.posix_acl_access", "/home/bob user.note", "/home/bob/with-acl flags immutable"} <= said
        assert ("metadata", "home/bob/with-acl", ["acl", "flags"]) in lab.differences(place / "manifest.gz", top / "t")
    finally:
        subprocess.run(["umount", top], check=True)


def test_a_spinning_disk_is_read_in_the_order_of_its_blocks(trees, monkeypatch):
    source, target, place = trees
    os.sync()
    blocks = []
    real = _kernel.first_block
    monkeypatch.setattr(_kernel, "rotational", lambda _device: True)
    monkeypatch.setattr(_kernel, "first_block", lambda fd: blocks.append(real(fd)) or blocks[-1])
    copier = _copy.Copier(str(source), str(target), state=str(place))
    taken = []
    monkeypatch.setattr(copier, "_file", lambda folder, name, plain=copier._file: taken.append((folder.path, name)) or plain(folder, name))
    assert copier.run()["findings"] == [] and lab.rsync(source, target) == []
    assert len({block for block in blocks if block}) > 20, "this filesystem tells no blocks: the test would prove nothing"

    def block(path, name):
        with open(os.path.join(os.fsencode(source), path, name), "rb") as handle:
            return real(handle.fileno())

    box = [block(path, name) for path, name in taken if path.endswith(b"cur")]
    assert len(box) == 30 and box == sorted(box)


def test_progress_is_told(trees, monkeypatch):
    from ansible_collections.intact.hosting.plugins.module_utils._trees import _told

    source, target, place = trees
    monkeypatch.setattr(_told, "PAUSE", 0)
    lines, numbers = [], []
    result = lab.copy(source, target, place, tell=lines.append, progress=numbers.append, totals=(60, 2_000_000))
    assert len(lines) == len(numbers) > 5 and " files, " in lines[-1]
    assert numbers[-1]["bytes"] == result["bytes"] and [n["files"] for n in numbers] == sorted(n["files"] for n in numbers)
    assert any(n["eta"] is not None for n in numbers)


def test_errors_name_the_thing_and_the_next_step(trees, tmp_path):
    source, target, place = trees
    with pytest.raises(IntactError, match=r"there is no source .*mount it first"):
        lab.copy(source / "none", target, place)
    with pytest.raises(IntactError, match="inside the source"):
        lab.copy(source, source / "home/below", place)
    lab.copy(source, target, place)
    with pytest.raises(IntactError, match="copy of other trees"):
        lab.copy(source, target.parent / "other", place)
    with pytest.raises(IntactError, match="existing 'x' is none of"):
        _copy.Copier(str(source), str(target), existing="x")
    if _content.xxhash is None:
        with pytest.raises(IntactError, match="python3-xxhash"):
            _copy.Copier(str(source), str(target), digest="xxh3")


def test_a_full_target_is_a_clean_error_and_is_continued(trees, tmp_path):
    source, _target, place = trees
    with lab.mounted(tmp_path / "small", "3M", options=("-b", "1024")) as (small, _image):
        (source / "a-big-one").write_bytes(os.urandom(4 << 20))
        with pytest.raises(IntactError, match=r"No space left on device.*goes on where it was"):
            lab.copy(source, small / "t", place)
        os.unlink(source / "a-big-one")
        assert [kind for kind, _s in lab.copy(source, small / "t", place)["told"]] == []
        assert lab.rsync(source, small / "t") == []
        assert not [path for path in (small / "t").rglob(".intact-*") if path.is_dir()]
