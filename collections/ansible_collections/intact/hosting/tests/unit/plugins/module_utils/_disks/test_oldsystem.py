# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An old root described by its files: releases of all families, what ran on it; links that lead out, and damaged or hostile files, harm nobody."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _olddata, _oldmail, _oldsystem, _release, _roots
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import blank, copy, digest, mounted, needs, run, write

MB = 1 << 20
PASSWD = """root:x:0:0:root:/root:/bin/bash
apache:x:48:48::/var/www:/sbin/nologin
mysql:x:27:27::/var/lib/mysql:/bin/bash
kunde:x:500:500:Kunde:/home/kunde:/bin/bash
ftp1:x:501:500::/home/kunde/web:/bin/false
ftp2:x:501:500::/home/kunde/web:/bin/false
nfsnobody:x:65534:65534::/var/lib/nfs:/sbin/nologin
broken line
"""


class Tree:
    """A root made of files."""

    def __init__(self, root):
        self.root = str(root)

    def put(self, path, text="", mode=0o644):
        place = self.root + path
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as handle:
            handle.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(place, mode)
        return self


@pytest.fixture
def centos(tmp_path):
    """A CentOS 5 as it was in 2008: Plesk's places, Apache 2.2, MySQL 5.0, PostgreSQL 8.1, qmail, Mailman 2."""
    tree = Tree(tmp_path / "old")
    tree.put("/etc/redhat-release", "CentOS release 5.2 (Final)\n").put("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=www.example.com\n")
    tree.put("/etc/fstab", "LABEL=/ / ext3 defaults 1 1\n/dev/VolGroup00/home /home ext3 defaults,usrquota 1 2\n").put("/etc/passwd", PASSWD)
    tree.put("/usr/sbin/httpd", b"\x7fELF junk Apache/2.2.3\0(CentOS)").put("/usr/libexec/mysqld", b"\x7fELF\x005.0.45-log\x00").put(
        "/var/lib/rpm/Packages", "x"
    )
    tree.put("/etc/my.cnf", "[mysqld]\ndatadir=/var/lib/mysql\n").put("/var/lib/mysql/ibdata1", "x").put("/var/lib/mysql/shop/orders.frm", "x")
    tree.put("/var/lib/mysql/mysql/user.frm", "x").put("/var/lib/mysql/www.pid", "1").put("/var/lib/pgsql/data/PG_VERSION", "8.1\n")
    tree.put("/var/lib/pgsql/data/postmaster.pid", "1").put("/usr/local/psa/version", "8.6.0 CentOS 5 86080722.04\n").put("/usr/local/psa/bin/psadump", "")
    tree.put("/var/qmail/control/me", "www.example.com\n").put("/var/qmail/mailnames/example.com/info/Maildir/cur/1:2,S", "x").put(
        "/var/spool/mail/kunde", "From x\n"
    )
    tree.put("/etc/courier-imap/imapd", "").put("/var/lib/mailman/lists/announce/config.pck", "x").put("/var/lib/mailman/lists/mailman/config.pck", "x")
    tree.put("/usr/lib/mailman/Mailman/Version.py", "VERSION           = '2.1.9'\n").put("/etc/cron.d/stats", "# x\nMAILTO=root\n*/5 * * * * root /bin/x\n")
    tree.put("/var/spool/cron/kunde", "# nightly\n0 3 * * * /usr/bin/php4 run.php\n@reboot /bin/true\n\nPATH=/bin\n")
    return tree


def test_a_server_of_2008_is_described(centos):
    told = _oldsystem.describe(centos.root)
    assert told["said"] == []
    assert told["distribution"] == {
        "id": "centos",
        "version": "5.2",
        "name": "CentOS release 5.2 (Final)",
        "family": "redhat",
        "file": "/etc/redhat-release",
    }
    assert told["hostname"] == "www.example.com" and [row["target"] for row in told["fstab"]] == ["/", "/home"]
    accounts = told["accounts"]
    assert (accounts["total"], accounts["system"], accounts["first_uid"]) == (7, 4, 500)
    assert [(p["name"], p["login"]) for p in accounts["people"]] == [("kunde", True), ("ftp1", False), ("ftp2", False)]
    assert accounts["shared"] == {"501": ["ftp1", "ftp2"]}
    assert [(p["name"], p["version"]) for p in told["panel"]] == [("plesk_old", "8.6.0")]
    assert [(w["server"], w["version"], w["how"]) for w in told["web"]] == [("apache", "2.2.3", "program")]
    mysql, postgresql = told["databases"]
    assert (mysql["kind"], mysql["version"], mysql["how"], mysql["databases"], mysql["running"]) == ("mysql", "5.0.45-log", "program", ["shop"], True)
    assert (postgresql["version"], postgresql["datadir"], postgresql["running"]) == ("8.1", "/var/lib/pgsql/data", True)
    assert told["mail"]["stores"] == [
        {"kind": "mbox", "path": "/var/spool/mail", "boxes": 1},
        {"kind": "maildir", "path": "/var/qmail/mailnames", "boxes": 1},
    ]
    assert [t["name"] for t in told["mail"]["transfer"]] == ["qmail"] and [t["name"] for t in told["mail"]["access"]] == ["courier"]
    assert told["lists"] == [{"kind": "mailman2", "version": "2.1.9", "path": "/var/lib/mailman", "lists": ["announce", "mailman"]}]
    assert told["jobs"] == {"users": {"kunde": 2}, "system": {"/etc/cron.d/stats": 1}, "at": 0}
    assert told["packages"] == {"format": "rpm", "count": 0}


def test_a_debian_says_its_versions_by_packages(tmp_path):
    tree = Tree(tmp_path)
    blocks = [
        ("apache2.2-common", "2.2.9-10", "install ok installed"),
        ("mysql-server-5.0", "5.0.51a", "install ok installed"),
        ("nginx", "0.6", "deinstall ok config-files"),
    ]
    tree.put("/var/lib/dpkg/status", "\n\n".join("Package: %s\nStatus: %s\nVersion: %s\nDescription: x" % (p, s, v) for p, v, s in blocks))
    tree.put("/etc/debian_version", "5.0\n").put("/etc/passwd", PASSWD).put("/etc/login.defs", "UID_MIN 501\n").put("/usr/sbin/apache2", "x")
    tree.put("/var/lib/mysql/ibdata1", "x").put("/home/kunde/Maildir/cur/1", "x").put("/etc/exim4/update-exim4.conf.conf", "")
    told = _oldsystem.describe(str(tmp_path))
    assert (told["distribution"]["id"], told["distribution"]["version"]) == ("debian", "5.0")
    assert [(w["version"], w["how"]) for w in told["web"]] == [("2.2.9-10", "package")]
    assert [(d["kind"], d["version"]) for d in told["databases"]] == [("mysql", "5.0.51a")]
    assert told["accounts"]["first_uid"] == 501 and told["packages"] == {"format": "dpkg", "count": 2}
    assert [p["name"] for p in told["panel"]] == [] and told["mail"]["stores"][0]["path"] == "/home"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"/etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n', "/etc/debian_version": "12.5\n"}, ("debian", "12.5", "debian")),
        ({"/usr/lib/os-release": "ID=rocky\nID_LIKE='rhel centos fedora'\nVERSION_ID=9.3\n"}, ("rocky", "9.3", "redhat")),
        ({"/etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=8.04\n", "/etc/debian_version": "lenny/sid\n"}, ("ubuntu", "8.04", "debian")),
        ({"/etc/fedora-release": "Fedora release 9 (Sulphur)\n", "/etc/redhat-release": "Fedora release 9 (Sulphur)\n"}, ("fedora", "9", "redhat")),
        ({"/etc/redhat-release": "Red Hat Enterprise Linux ES release 4 (Nahant Update 7)\n"}, ("rhel", "4", "redhat")),
        ({"/etc/SuSE-release": "openSUSE 10.3 (i586)\nVERSION = 10.3\n"}, ("suse", "10.3", "suse")),
        ({"/etc/debian_version": "lenny/sid\n"}, ("debian", "lenny/sid", "debian")),
        ({"/etc/os-release": 'ID="un"closed\nVERSION_ID="1\n'}, ("unclosed", "1", "")),
        ({}, ()),
    ],
)
def test_releases_of_all_families(files, told):
    found = _release.distribution(lambda path: files.get(path, ""))
    assert tuple(found.get(key) for key in ("id", "version", "family") if key in found) == told


def test_links_that_lead_out_of_the_root_show_nothing_of_this_host(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "old"
    Tree(outside).put("/secret", "host:x:1000:1000::/:/bin/sh\n").put("/vm/a/b/cur/1", "x").put("/lists/leak/config.pck", "x").put(
        "/cron/leak", "* * * * * x\n"
    )
    (root / "etc").mkdir(parents=True)
    (root / "var" / "spool").mkdir(parents=True)
    (root / "var" / "lib").mkdir()
    for path, target in (("etc/passwd", outside / "secret"), ("etc/fstab", "../../outside/secret"), ("var/vmail", outside / "vm")):
        os.symlink(target, root / path)
    os.symlink(outside / "lists", root / "var" / "lib" / "mailman")
    os.symlink("../../../outside/cron", root / "var" / "spool" / "cron")
    told = _oldsystem.describe(str(root))
    assert (told["accounts"]["total"], told["fstab"], told["mail"]["stores"], told["lists"], told["jobs"]["users"]) == (0, [], [], [], {})
    assert "leak" not in repr(told) and "secret" not in repr(told)


def test_hostile_files_neither_hang_nor_break_the_rest(tmp_path):
    tree = Tree(tmp_path)
    tree.put("/etc/debian_version", "4.0\n").put("/var/lib/pgsql/data/PG_VERSION", "8.1\n").put(
        "/etc/passwd", b"x:x:1000:1000::/:/bin/sh\nb\xe4r\x1b:x:1001:1001::/:/bin/sh\n"
    )
    os.mkfifo(str(tmp_path) + "/etc/hostname")
    os.symlink("fstab", str(tmp_path) + "/etc/fstab")
    for name in ("my.cnf", "login.defs", "redhat-release", "postfix/main.cf"):  # more than this machine's memory
        os.makedirs(str(tmp_path) + "/etc/postfix", exist_ok=True)
        blank("%s/etc/%s" % (tmp_path, name), 1 << 40)
    told = _oldsystem.describe(str(tmp_path))
    assert told["fstab"] == [] and told["hostname"] == "" and [p["name"] for p in told["accounts"]["people"]] == ["x", "b\\xe4r\\x1b"]
    assert told["databases"][0]["version"] == "8.1"


def test_a_part_that_can_t_be_read_is_said_and_hides_nothing_else(tmp_path, monkeypatch):
    Tree(tmp_path).put("/etc/passwd", PASSWD).put("/etc/debian_version", "4.0\n")

    def broken(_view):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_oldmail, "jobs", broken)
    told = _oldsystem.describe(str(tmp_path))
    assert told["said"] == [{"what": "jobs", "why": "Input/output error"}] and told["jobs"] is None and told["accounts"]["total"] == 7


def test_what_is_no_old_root_is_refused(tmp_path):
    with pytest.raises(IntactError, match="no directory etc"):
        _oldsystem.describe(str(tmp_path))
    with pytest.raises(IntactError, match="running host"):
        _oldsystem.describe("/")


def test_an_unmounted_root_is_read_without_a_write(tmp_path):
    needs("mkfs.ext4", "debugfs", "losetup", root=True)
    image = blank(tmp_path / "root", 24 * MB)
    run("mkfs.ext4", "-q", "-F", image)
    with mounted(image, tmp_path / "mnt") as root:
        tree = Tree(root)
        tree.put("/usr/lib/os-release", 'ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian 11"\n').put("/etc/fstab", "UUID=x / ext4 defaults 0 1\n")
        tree.put("/etc/hostname", "old.example.com\n")
        os.symlink("../usr/lib/os-release", root + "/etc/os-release")
        run("sync", "-f", root)
        tree.put("/etc/debian_version", "11.9\n")
        dirty = copy(image, tmp_path / "dirty")
    shifted = blank(tmp_path / "shifted", 32 * MB)
    with open(dirty, "rb") as handle:
        write(shifted, 4 * MB, handle.read())
    for path, offset in ((dirty, 0), (shifted, 4 * MB)):
        before = digest(path)
        told = _roots.unmounted(System(), path, offset)
        assert digest(path) == before
        assert (told["distribution"]["id"], told["hostname"], told["fstab"][0]["source"]) == ("debian", "old.example.com", "UUID=x")
    data = blank(tmp_path / "data", 8 * MB)
    run("mkfs.ext4", "-q", "-F", data)
    assert _roots.unmounted(System(), data) is None


def test_a_sparse_giant_is_not_read_through_debugfs(tmp_path):
    needs("mkfs.ext4", "debugfs", "losetup", root=True)
    image = blank(tmp_path / "root", 24 * MB)
    run("mkfs.ext4", "-q", "-F", image)
    with mounted(image, tmp_path / "mnt") as root:
        Tree(root).put("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
        Tree(root).put("/etc/fstab", "LABEL=/ / ext4 defaults 0 1\n")
        os.truncate(root + "/etc/fstab", 64 << 20)
    told = _roots.unmounted(System(), image)
    assert told["fstab"] == []


def test_the_programs_own_version_is_found_in_its_bytes(tmp_path):
    Tree(tmp_path).put("/etc/x").put("/usr/sbin/mysqld", b"a\0" + b"5.0.51a-24+lenny5-log\0b\x0010.0.0.1\0")
    view = _oldsystem.view_of(str(tmp_path))
    assert _olddata.inside(view, "/usr/sbin/mysqld", _olddata.OWN) == "5.0.51a-24+lenny5-log"
