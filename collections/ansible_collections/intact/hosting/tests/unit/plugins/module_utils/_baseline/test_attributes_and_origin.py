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


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
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
