# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Extended attributes as text, and where a file comes from."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _attributes, _origin
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

# Recorded with os.getxattr() on Debian 12 after setfacl and setcap.
ACCESS = "0200000001000600ffffffff02000500e903000004000400ffffffff080006002100000010000700ffffffff20000400ffffffff"
DEFAULT = "0200000001000700ffffffff02000700e903000004000500ffffffff10000700ffffffff20000500ffffffff"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (ACCESS, "user::rw-,user:1001:r-x,group::r--,group:33:rw-,mask::rwx,other::r--"),
        (DEFAULT, "user::rwx,user:1001:rwx,group::r-x,mask::rwx,other::r-x"),
        ("01000000", "unreadable:01000000"),
        ("02", "unreadable:02"),
        ("0200000001", "unreadable:0200000001"),
    ],
)
def test_acl(raw, text):
    assert _attributes.acl(bytes.fromhex(raw)) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("0100000200240000000000000000000000000000", "cap_net_bind_service,cap_net_raw=ep"),
        ("0100000204000000040000000000000000000000", "cap_dac_read_search=eip"),
        ("0000000200200000800000000000000000000000", "cap_net_raw=p cap_setuid=i"),
        ("010000030024000000000000000000000000000010270000", "cap_net_bind_service,cap_net_raw=ep [rootid=10000]"),
        ("0000000200000000000000000000000000000000", "="),
        ("ff", "unreadable:ff"),
        ("0100000902000000", "unreadable:0100000902000000"),
    ],
)
def test_capability(raw, text):
    assert _attributes.capability(bytes.fromhex(raw)) == text


CONFFILES = """adduser
 /etc/adduser.conf 2ad7bcaa8b12b9ec4ab5c8e1d7e5e0e1
 /etc/with blank/in it.conf 11111111111111111111111111111111 obsolete
base-files
libc6
 /etc/new newconffile
"""


def test_conffiles_of_dpkg_and_ucf():
    system = FakeSystem({"dpkg-query -W": CONFFILES}, {"/var/lib/ucf/hashfile": "22222222222222222222222222222222  /etc/default/grub\n"})
    assert _origin.conffiles(system) == {
        "/etc/adduser.conf": "2ad7bcaa8b12b9ec4ab5c8e1d7e5e0e1",
        "/etc/with blank/in it.conf": "11111111111111111111111111111111",
        "/etc/new": "newconffile",
        "/etc/default/grub": "22222222222222222222222222222222",
    }
    assert len(system.calls) == 1


@pytest.mark.parametrize("order", [("mariadb-server", "mariadb-server-10.5"), ("mariadb-server-10.5", "zz-mariadb-server")])
def test_what_moved_to_another_package_is_that_ones(order):
    """The former one goes on listing it as obsolete: what nobody had edited was said to be edited after Debian 11 to 12 (seen)."""
    digests = {name: "1" * 32 + " obsolete" if name.endswith("10.5") else "2" * 32 for name in order}
    system = FakeSystem({"dpkg-query -W": "".join("%s\n /etc/mysql/debian-start %s\n" % (name, digests[name]) for name in order)})
    assert _origin.conffiles(system) == {"/etc/mysql/debian-start": "2" * 32}
    assert _origin.given_up(system) == set()


def test_a_host_without_dpkg_has_no_conffiles():
    assert _origin.conffiles(FakeSystem()) == {}


def test_owned_keeps_only_what_is_below_the_roots():
    system = FakeSystem(
        files={"/var/lib/dpkg/info/cron.list": "/.\n/etc\n/etc/crontab\n/usr/bin/crontab\n", "/var/lib/dpkg/info/x:amd64.list": b"/opt/caf\xe9\n"}
    )
    assert _origin.owned(system, [b"/etc", b"/opt/"]) == {b"/etc/crontab": "cron", b"/opt/caf\xe9": "x"}


@pytest.mark.parametrize(
    ("path", "md5", "packaged", "origin"),
    [
        ("/etc/a", "1", False, "conffile-unmodified"),
        ("/etc/a", "2", True, "conffile-edited"),
        ("/etc/a", None, True, "conffile-edited"),
        ("/etc/b", "1", True, "package"),
        ("/etc/b", "1", False, "local"),
        ("/etc/b.dpkg-dist", "1", False, "leftover"),
        ("/etc/b.ucf-old", "1", False, "leftover"),
    ],
)
def test_classify(path, md5, packaged, origin):
    assert _origin.classify(path, md5, {"/etc/a": "1"}, packaged) == origin


A, B = "a" * 32, "b" * 32


def test_what_packages_brought_is_told_by_its_owner():
    info = "/var/lib/dpkg/info/"
    files = {
        info + "app.list": "/opt/app/run\n/opt/app/taken\n/opt/app/diverted\n/opt/app/own\n/lib/cgi-bin/old\n/usr/share/x\n",
        info + "app.md5sums": "%s  opt/app/run\n%s  opt/app/diverted\n%s  opt/app/own\n%s  lib/cgi-bin/old\n%s  usr/share/x\nnonsense\n" % (A, A, A, A, A),
        # it took a file over, and its diversion moved the other's away
        info + "new:amd64.list": b"/opt/app/taken\n/opt/app/caf\xe9\n",
        info + "new:amd64.md5sums": ("%s  opt/app/taken\n%s  opt/app/caf" % (B, B)).encode() + b"\xe9\n",
        info + "older.list": "/opt/else\n",
        info + "older.md5sums": "%s  opt/app/taken\n" % A,
        info + "a-wrapper.list": "/opt/app/diverted\n",
        info + "a-wrapper.md5sums": "%s  opt/app/diverted\n" % B,
        "/var/lib/dpkg/diversions": "/opt/app/diverted\n/opt/app/diverted.real\na-wrapper\n/opt/app/own\n/opt/app/own.distrib\n:\n",
    }
    system = FakeSystem(files=files)
    packaged = _origin.owned(system, [b"/opt", b"/lib", b"/usr"])
    assert _origin.shipped(system, [b"/opt/", b"/usr/lib/cgi-bin"], packaged) == {
        b"/opt/app/run": A,
        b"/opt/app/taken": B,
        b"/opt/app/caf\xe9": B,
        b"/opt/app/diverted": B,
        b"/opt/app/own": A,
        b"/usr/lib/cgi-bin/old": A,
    }
    assert _origin.shipped(FakeSystem(), [b"/opt"], {}) == {}


@pytest.mark.parametrize(("md5", "brought", "origin"), [(A, A, "package"), (A, B, "package-edited"), (A, None, "package"), (None, B, "package")])
def test_a_file_that_is_not_as_its_package_brought_it(md5, brought, origin):
    assert _origin.classify("/opt/x", md5, {}, True, brought) == origin
    assert _origin.classify("/opt/x", md5, {}, False, brought) == "local"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("package", "package-edited", "package -> package-edited"),
        ("package-edited", "package", "package-edited -> package"),
        ("package-edited", "package-edited", "package-edited"),
        ("conffile-unmodified", "conffile-unmodified", "conffile-unmodified"),
        ("conffile-unmodified", "package", "conffile-unmodified"),
        ("conffile-unmodified", None, "conffile-unmodified"),
        ("conffile-unmodified", "conffile-edited", "conffile-unmodified -> conffile-edited"),
        ("conffile-unmodified", "local", "conffile-unmodified -> local"),
        ("conffile-edited", "conffile-unmodified", "conffile-edited -> conffile-unmodified"),
        (None, "local", "local"),
        (None, None, None),
    ],
)
def test_an_edit_never_passes_for_a_new_package_version(before, after, told):
    assert _origin.moved(before, after) == told
