# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FTP accounts in ProFTPD's password files: one that is lost, led elsewhere or given another password is told by its name."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _ftp
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.recorded import told

PATH = "/etc/proftpd/ftpd.passwd"
USERS = "# by ftpasswd\nphotos:$6$salt$hash:2101:2101::/home/anna/photos:/bin/false\nprinter:$6$salt$other:2102:2102::/home/ben/print:/bin/false\nbroken line\n"


def items(users=USERS, key=b"k", conf="AuthOrder mod_auth_file.c mod_auth_pam.c\n  AuthUserFile %s\n# AuthUserFile /etc/other\n" % PATH):
    files = {"/etc/proftpd/proftpd.conf": "Include /etc/proftpd/conf.d/\n", "/etc/proftpd/conf.d/hosting.conf": conf, PATH: users}
    return _ftp.capture(FakeSystem({}, files=files), key)


def test_accounts_are_read_and_their_hashes_are_not_kept():
    found = items()
    assert sorted(found) == ["ftp photos", "ftp printer"]
    assert {k: v for k, v in found["ftp photos"].items() if k != "password"} == {
        "uid": 2101,
        "gid": 2101,
        "home": "/home/anna/photos",
        "shell": "/bin/false",
        "path": PATH,
    }
    assert "hash" not in str(found) and len(found["ftp photos"]["password"]) == 64
    assert items(conf="# nothing\n") == {}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (items(), []),
        (items(USERS.replace("# by ftpasswd\n", "")), []),
        (items(key=None), []),
        (items(USERS.replace("broken line", "new:x:2103:2103::/home/x:/bin/false")), [("accounts.ftp.new", "warning", "ftp new")]),
        (items(USERS.replace("photos:", "#photos:")), [("accounts.ftp.missing", "blocker", "ftp photos")]),
        (items(USERS.replace("2101:2101", "2102:2101")), [("accounts.ftp.changed", "blocker", "ftp photos")]),
        (items(USERS.replace("$hash", "$another")), [("accounts.ftp.changed", "blocker", "ftp photos")]),
        (items(conf=""), [("accounts.ftp.missing", "blocker", "ftp photos"), ("accounts.ftp.missing", "blocker", "ftp printer")]),
    ],
)
def test_what_a_customer_would_miss_is_told(after, expected):
    found = _ftp.compare(items(), after)
    assert told(found) == expected
    assert all(finding.title and finding.evidence and finding.remedy and {"section": "files", "path": PATH} in finding.covers for finding in found)
