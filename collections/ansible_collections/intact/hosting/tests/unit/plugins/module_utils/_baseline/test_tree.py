# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk over real trees: what an entry says, what is left out, what an attacker's race or a limit does."""

from __future__ import annotations

import os
import socket
import struct
import threading

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _mounttable, _origin, _tree, _trees_data, files
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

ROOT = os.geteuid() == 0


def walk(path, limits=None, rules=(), mounts=None, md5=(), clock=None):
    system = System({}, limits, **({"clock": clock} if clock else {}))
    walker = _tree.Walker(system, _trees_data.matcher(rules), md5, mounts)
    walker.tree(os.fsencode(str(path)))
    walker.finish()
    return walker


def names(walker, top):
    return sorted(os.path.relpath(path, str(top)) for path in walker.items)


def test_one_of_each_kind(tmp_path):
    (tmp_path / "file").write_bytes(b"hello")
    os.chmod(tmp_path / "file", 0o4751)
    (tmp_path / "dir").mkdir()
    os.symlink("file", tmp_path / "link")
    os.mkfifo(tmp_path / "fifo")
    made = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)  # a socket's path is at most 107 bytes
    try:
        made.bind("socket")
    finally:
        os.chdir(here)
        made.close()
    walker = walk(tmp_path)
    top = escape(str(tmp_path))
    assert names(walker, tmp_path) == [".", "dir", "fifo", "file", "link"]
    assert walker.sockets == 1
    item = walker.items[top + "/file"]
    assert item["hash"] == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert (item["type"], item["size"], item["mode"], item["uid"]) == ("file", 5, "4751", os.geteuid())
    assert walker.items[top + "/link"]["target"] == "file" and "mode" not in walker.items[top + "/link"]
    assert walker.owners[str(os.geteuid())]


def test_names_are_bytes(tmp_path):
    for name in (b"caf\xe9", b"two\nlines", "süß".encode(), b"back\\slash"):
        with open(os.path.join(os.fsencode(str(tmp_path)), name), "wb") as handle:
            handle.write(name)
    found = {path.rpartition("/")[2] for path in walk(tmp_path).items} - {tmp_path.name}
    assert found == {"caf\\xe9", "two\\x0alines", "süß", "back\\x5cslash"}


def test_links_are_never_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    tree = tmp_path / "tree"
    tree.mkdir()
    os.symlink(outside, tree / "dir")
    os.symlink(outside / "secret", tree / "file")
    assert names(walk(tree), tree) == [".", "dir", "file"]


def test_a_root_that_is_a_link_is_walked_where_it_leads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    os.symlink("real", tmp_path / "home")
    assert names(walk(tmp_path / "home"), tmp_path) == ["home", "real", "real/file"]


def test_a_link_put_in_place_of_a_file_is_not_opened(tmp_path, monkeypatch):
    """Between looking and opening a customer may swap the file: the descriptor is opened without following."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "tree").mkdir()
    target = tmp_path / "tree" / "file"
    target.write_text("mine")
    real = _descriptors.open_file

    def swap(name, parent):
        target.unlink()
        os.symlink(tmp_path / "secret", target)
        return real(name, parent)

    monkeypatch.setattr(_descriptors, "open_file", swap)
    item = walk(tmp_path / "tree").items[escape(str(target))]
    assert item["state"] == "unreadable: ELOOP" and "hash" not in item


def test_a_fifo_put_in_place_of_a_file_does_not_hang(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_text("mine")
    real = _descriptors.open_file

    def swap(name, parent):
        target.unlink()
        os.mkfifo(target)
        return real(name, parent)

    monkeypatch.setattr(_descriptors, "open_file", swap)
    thread = threading.Thread(target=walk, args=(tmp_path,), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_hard_links_are_one_group_and_hashed_once(tmp_path):
    (tmp_path / "b").write_text("x" * 100)
    os.link(tmp_path / "b", tmp_path / "a")
    os.link(tmp_path / "b", tmp_path / "c")
    (tmp_path / "alone").write_text("x")
    walker = walk(tmp_path)
    top = escape(str(tmp_path))
    assert [walker.items[top + "/" + n].get("hardlink") for n in ("a", "b", "c", "alone")] == [top + "/a"] * 3 + [None]
    assert walker.items[top + "/c"]["links"] == 3
    assert walker.bytes == 101


def test_sparse(tmp_path):
    with open(tmp_path / "holes", "wb") as handle:
        handle.truncate(10 << 20)
    (tmp_path / "full").write_bytes(b"x" * (1 << 20))
    walker = walk(tmp_path)
    top = escape(str(tmp_path))
    if os.stat(tmp_path / "holes").st_blocks * 512 >= 5 << 20:
        pytest.skip("this file system has no holes")
    assert walker.items[top + "/holes"]["sparse"] is True
    assert "sparse" not in walker.items[top + "/full"]


def test_attributes(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    try:
        os.setxattr(path, "user.origin", b"web")
        os.setxattr(path, "user.long", b"y" * 100)
        os.setxattr(path, "system.posix_acl_access", bytes.fromhex("0200000001000600ffffffff02000500e903000004000400ffffffff10000500ffffffff20000400ffffffff"))
    except OSError:
        pytest.skip("this file system keeps no attributes")
    item = walk(tmp_path).items[escape(str(path))]
    assert item["acl"] == "user::rw-,user:1001:r-x,group::r--,mask::r-x,other::r--"
    assert item["xattr"]["user.origin"] == "web"
    assert item["xattr"]["user.long"].startswith("sha256:")


@pytest.mark.skipif(not ROOT, reason="setting a capability needs root")
def test_capability(tmp_path):
    path = tmp_path / "program"
    path.write_text("x")
    try:
        os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
    except OSError:
        pytest.skip("this file system keeps no capabilities")
    assert walk(tmp_path).items[escape(str(path))]["capability"] == "cap_net_bind_service=ep"


def test_excluded(tmp_path):
    for name in ("keep.php", "x.log", "sess_abc", "wp-content/cache/page", "wp-content/uploads/photo", "a/b/Maildir/new/1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert names(walk(tmp_path, rules=_trees_data.EXCLUDED), tmp_path) == [
        ".",
        "a",
        "a/b",
        "keep.php",
        "wp-content",
        "wp-content/uploads",
        "wp-content/uploads/photo",
    ]


@pytest.mark.parametrize(
    ("path", "kind", "target", "excluded"),
    [
        ("/etc/ssl/certs/GlobalSign.pem", "link", "/usr/share/ca-certificates/mozilla/GlobalSign.crt", True),
        ("/etc/ssl/certs/shop.pem", "file", "", False),
        ("/etc/ssl/certs/shop.pem", "link", "/etc/ssl/own/shop.pem", False),
        ("/etc/ssl/certs/5ad8a5d6.0", "link", "GlobalSign.pem", True),
        ("/etc/systemd/system/multi-user.target.wants", "dir", "", True),
        ("/etc/systemd/system/own.service", "file", "", False),
        ("/home/carol/Maildir", "dir", "", True),
        ("/home/carol/public_html/composer.lock", "file", "", False),
        ("/home/carol/shop.sqlite-wal", "file", "", True),
        ("/home/carol/shop.sqlite", "file", "", False),
        ("/etc/rc3.d", "dir", "", True),
        ("/srv/a/b/access.log.14.gz", "file", "", True),
        ("/srv/www/error_log", "file", "", True),
        ("/srv/www/my_log", "file", "", False),
        ("/etc/bind/zones/db.example.jnl", "file", "", True),
        ("/etc/bind/zones/db.example", "file", "", False),
    ],
)
def test_what_is_left_out_by_default(path, kind, target, excluded):
    matcher = _trees_data.matcher(_trees_data.EXCLUDED)
    assert matcher(path.encode(), path.rpartition("/")[2].encode(), kind, target.encode()) is excluded


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("/home/*/x/**", "/home/a/x/b/c", True),
        ("/srv/**.jnl", "/srv/a/b.jnl", True),
        ("/srv/**/cache", "/srv/a/b/cache", True),
        ("/srv/**/cache", "/srv/a/b/cached", False),
        ("/srv/*", "/srv/a", True),
        ("/srv/*", "/srv/a/b", False),
        ("/srv/a[b/c]d", "/srv/abd", True),
        ("*.tmp", "/srv/a.tmp", True),
        ("/srv/?x", "/srv/ax", True),
    ],
)
def test_a_pattern_is_held_against_the_whole_path(pattern, path, excluded):
    matcher = _trees_data.matcher([{"patterns": [pattern, "never"]}])
    assert matcher(path.encode(), path.rpartition("/")[2].encode(), "file", b"") is excluded


def test_packages_are_asked_only_about_what_is_looked_at(tmp_path):
    os.symlink("/opt/data", tmp_path / "link")
    link = os.fsencode(str(tmp_path / "link"))
    for trees, shared in (
        ([b"/home", b"/srv"], []),
        ([b"/usr/local", b"/etc/nginx"], [b"/etc/nginx", b"/usr/local"]),
        ([b"/usr/bin"], [b"/bin", b"/usr/bin"]),
        ([b"/var"], [b"/var/lib"]),
        ([b"/"], sorted(files.SHARED)),
        ([link], [b"/opt/data"]),
    ):
        assert set(shared) <= set(files._shared(System(), trees)) <= set(shared) | {os.path.realpath(path) for path in shared}, trees
    listed = FakeSystem(files={"/var/lib/dpkg/info/a:amd64.list": "/usr\n/usr/local/x\n/bin/ls\n", "/var/lib/dpkg/info/b.list": "/opt\n/opt/y\n"})
    assert _origin.owned(listed, [b"/opt", b"/usr/local"]) == {b"/usr/local/x": "a", b"/opt/y": "b"}


def test_every_exclusion_has_a_reason():
    assert all(len(rule["reason"]) > 10 and rule["patterns"] for rule in _trees_data.EXCLUDED)


def test_a_byte_limit_keeps_metadata_and_says_so_once(tmp_path):
    for number in range(10):
        (tmp_path / ("file%d" % number)).write_bytes(b"x" * 1000)
    system = System({"trees": [str(tmp_path)], "privileged": []}, {"bytes": 3500})
    data = files.capture(system)
    hashed = [item for item in data["items"].values() if "hash" in item]
    assert len(hashed) == 3
    assert sum(1 for item in data["items"].values() if item.get("state") == "unhashed" and item["size"] == 1000) == 7
    assert len(system.unlooked) == 1 and system.unlooked[0]["what"].startswith("7 paths: ")


def test_when_seconds_run_out_the_rest_is_named(tmp_path):
    for folder in "abc":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("x")
    ticks = iter(range(1000))
    walker = walk(tmp_path, limits={"seconds": 6}, clock=lambda: next(ticks))
    assert walker.unwalked
    assert all(path.startswith(escape(str(tmp_path))) for path in walker.unwalked)


def test_a_file_that_is_being_written_has_its_own_state(tmp_path, monkeypatch):
    path = tmp_path / "busy"
    path.write_bytes(b"x")
    real = _tree.Walker._hash

    def grow(self, fd, size, md5):
        out = real(self, fd, size, md5)
        with open(path, "ab") as handle:
            handle.write(b"more")
        return out

    monkeypatch.setattr(_tree.Walker, "_hash", grow)
    walker = walk(tmp_path)
    item = walker.items[escape(str(path))]
    assert item["state"] == "changing" and "hash" not in item
    assert walker.changing == [escape(str(path))]


def test_a_mount_from_another_host_is_named_not_read(tmp_path):
    (tmp_path / "nfs" / "deep").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "file").write_text("x")
    top = os.fsencode(str(tmp_path))
    walker = walk(tmp_path, mounts={top + b"/nfs": "nfs4", top + b"/disk": "ext4"})
    assert names(walker, tmp_path) == [".", "disk", "disk/file", "nfs"]
    assert [entry["what"] for entry in walker.system.unlooked] == [escape(str(tmp_path / "nfs"))]
    assert set(walker.nested.values()) == {"nfs4", "ext4"}


def test_mounts_are_read_from_mountinfo():
    class Recorded(System):
        def read(self, path, limit=None):
            return b"""22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
35 22 254:17 / /home rw,relatime shared:2 master:1 - xfs /dev/vdb1 rw
36 22 0:44 / /srv/with\\040blank rw - nfs4 store:/x rw
"""

    assert _mounttable.types(Recorded()) == {b"/": "ext4", b"/home": "xfs", b"/srv/with blank": "nfs4"}


def test_overlapping_roots_and_bind_mounts_are_walked_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    walker = walk(tmp_path)
    before = dict(walker.items)
    walker.tree(os.fsencode(str(tmp_path / "a")))
    assert walker.items == before and walker.roots == [escape(str(tmp_path))]


def test_looking_leaves_no_trace(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    os.utime(path, (1000000000, 1000000000))
    walk(tmp_path)
    assert os.stat(path).st_atime == 1000000000


def test_two_captures_are_equal(tmp_path):
    for number in range(30):
        (tmp_path / ("f%02d" % number)).write_text(str(number))
    options = {"trees": [str(tmp_path)], "privileged": []}
    assert files.capture(System(options)) == files.capture(System(options))


@pytest.mark.parametrize("options", [{"trees": ["home"]}, {"exclude": [{"patterns": ["x"]}]}, {"exclude": [{"reason": "because"}]}])
def test_options_that_nobody_could_mean(options):
    with pytest.raises(IntactError):
        files.capture(System(options))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/home/carol/letter.txt", "home"),
        ("/home/carol/public_html/index.php", "sites"),
        ("/srv/shop/index.html", "sites"),
        ("/etc/nginx/html/x", "etc"),
        ("/opt/x", "other"),
        ("/usr/local/www/x", "other"),
    ],
)
def test_place(path, place):
    assert _trees_data.place(path) == place


@pytest.mark.parametrize("installed", [True, False])
def test_mail_stores_are_left_out_only_where_the_mail_section_reads_them(tmp_path, monkeypatch, installed):
    (tmp_path / "Maildir" / "new").mkdir(parents=True)
    (tmp_path / "Maildir" / "new" / "1").write_text("x")
    monkeypatch.setattr(System, "which", lambda self, program: "/usr/sbin/" + program if installed and program == "postconf" else None)
    items = files.capture(System({"trees": [str(tmp_path)], "privileged": []}))["items"]
    assert (escape(str(tmp_path / "Maildir/new/1")) in items) is not installed


def test_what_a_package_has_and_the_host_has_not(tmp_path, monkeypatch):
    top = os.fsencode(str(tmp_path))
    (tmp_path / "here").write_text("x")
    listed = {top + b"/here": "p", top + b"/gone\xe9": "p", top + b"/given-up": "p", b"/elsewhere/gone": "p"}
    monkeypatch.setattr(_origin, "conffiles", lambda system: {"/etc/x": "0" * 32})
    monkeypatch.setattr(_origin, "owned", lambda system, roots: dict(listed))
    monkeypatch.setattr(_origin, "given_up", lambda system: {top + b"/given-up"})
    assert files.capture(System({"trees": [str(tmp_path)], "privileged": []}))["claimed"] == [escape(top) + "/gone\\xe9"]


def test_a_packages_file_that_is_not_as_it_came(tmp_path, monkeypatch):
    top = os.fsencode(str(tmp_path))
    for name in ("whole", "halved", "unsaid"):
        (tmp_path / name).write_text("x")
    listed = {top + b"/" + name: "p" for name in (b"whole", b"halved", b"unsaid")}
    monkeypatch.setattr(files, "SHARED", (top,))
    monkeypatch.setattr(_origin, "conffiles", lambda system: {"/etc/x": "0" * 32})
    monkeypatch.setattr(_origin, "owned", lambda system, roots: dict(listed))
    monkeypatch.setattr(_origin, "shipped", lambda *_given: {top + b"/whole": _origin.md5(b"x"), top + b"/halved": _origin.md5(b"xx")})
    items = files.capture(System({"trees": [str(tmp_path)], "privileged": []}))["items"]
    origins = {name: items[escape(str(tmp_path / name))]["origin"] for name in ("whole", "halved", "unsaid")}
    assert origins == {"whole": "package", "halved": "package-edited", "unsaid": "package"}


def test_configuration_that_the_new_version_takes_away():
    listed = {"/var/lib/dpkg/info/procps.conffiles": "remove-on-upgrade /etc/sysctl.conf\n/etc/init.d/procps\n"}
    sum_ = "0123456789abcdef0123456789abcdef"
    status = "procps\n /etc/init.d/procps %s\nbind9\n /etc/bind/db.0 %s obsolete\n /etc/bind/x y newconffile\n" % (sum_, sum_)
    system = FakeSystem(commands={"dpkg-query": status}, files=listed)
    assert _origin.given_up(system) == {b"/etc/sysctl.conf", b"/etc/bind/db.0"}


def test_what_cannot_be_read_in_either_look_is_said(tmp_path, monkeypatch):
    (tmp_path / "damaged").write_text("x")

    def broken(self, fd, size, md5):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_tree.Walker, "_hash", broken)
    system = System({"trees": [str(tmp_path)], "privileged": []})
    data = files.capture(system)
    assert files.compare(data, data) == []
    assert [entry["what"] for entry in system.unlooked] == [escape(str(tmp_path / "damaged"))]


def test_one_entry_may_be_looked_at_again(tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("x")
    walker = _tree.Walker(System(), None, (), {})
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        walker.entry(fd, b"dir", os.fsencode(str(tmp_path / "dir")), deep=False)
        assert names(walker, tmp_path) == ["dir"]
        walker.entry(fd, b"dir", os.fsencode(str(tmp_path / "dir")))
        assert names(walker, tmp_path) == ["dir", "dir/file"]
    finally:
        os.close(fd)
