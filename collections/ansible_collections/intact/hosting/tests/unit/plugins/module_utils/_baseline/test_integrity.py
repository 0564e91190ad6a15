# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of packages: with the real dpkg on a root of its own, and with recorded output of dpkg and rpm."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import integrity
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

DPKG = {"dpkg --verify": (1, ""), ("dpkg-query",): ""}
STATUS = {"/var/lib/dpkg/status": "x"}


def told(before, after):
    return [(f.id, f.severity, f.subject) for f in integrity.compare(integrity.capture(before), integrity.capture(after))]


class Rooted(System):
    """A host whose dpkg has another root."""

    def __init__(self, root):
        super().__init__()
        self.at = str(root)

    def run(self, argv, **more):
        return super().run([argv[0], "--root=" + self.at] + argv[1:] if argv[0] == "dpkg" else argv, **more)

    def read(self, path, limit=None):
        return super().read(self.at + path if not path.startswith(self.at) else path, limit)

    def exists(self, path):
        return super().exists(self.at + path)

    def glob(self, pattern):
        return super().glob(self.at + pattern)


@pytest.fixture
def root(tmp_path):
    """A root with one package that dpkg installed: a library, a page of documentation, a configuration file."""
    if os.geteuid() != 0 or not shutil.which("dpkg-deb"):
        pytest.skip("needs root and dpkg-deb")
    tree, at = tmp_path / "tree", tmp_path / "root"
    for name, text in (("usr/lib/shop/lib.so", "code"), ("usr/share/doc/shop/a b.txt", "words"), ("etc/shop.conf", "x = 1")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text("Package: shop\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: shop\n")
    (tree / "DEBIAN/conffiles").write_text("/etc/shop.conf\n")
    for name in ("info", "updates"):
        (at / "var/lib/dpkg" / name).mkdir(parents=True)
    (at / "var/lib/dpkg/status").write_text("")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(tmp_path / "shop.deb")], check=True, capture_output=True)
    subprocess.run(["dpkg", "--root=%s" % at, "--log=/dev/null", "--force-not-root", "-i", str(tmp_path / "shop.deb")], check=True, capture_output=True)
    return at


def test_the_real_dpkg(root):
    whole = integrity.capture(Rooted(root))
    assert whole["items"] == {}
    (root / "etc/shop.conf").write_text("x = 2")  # the section files tells of configuration
    assert integrity.compare(whole, integrity.capture(Rooted(root))) == []
    (root / "usr/lib/shop/lib.so").write_text("evil")
    (root / "usr/share/doc/shop/a b.txt").unlink()
    later = integrity.capture(Rooted(root))
    assert later["items"] == {
        "/usr/lib/shop/lib.so": {"state": "content", "package": "shop"},
        "/usr/share/doc/shop/a b.txt": {"state": "missing", "package": "shop"},
    }
    found = integrity.compare(whole, later)
    assert [(f.id, f.severity, f.subject) for f in found] == [("integrity.changed", "blocker", "shop"), ("integrity.missing", "warning", "shop")]
    assert "/usr/lib/shop/lib.so (content)" in found[0].evidence and "--reinstall shop" in found[0].remedy
    assert integrity.compare(later, integrity.capture(Rooted(root))) == [], "what was so before is nobody's news"
    # what dpkg was told not to unpack is not missing
    (root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    (root / "etc/dpkg/dpkg.cfg.d/docker").write_text("# slim\npath-exclude /usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n")
    assert [path for path in integrity.capture(Rooted(root))["items"] if "doc" in path] == []


def test_a_page_that_should_have_been_unpacked_is_missing_all_the_same():
    host = FakeSystem(files={"/etc/dpkg/dpkg.cfg.d/slim": "path-exclude=/usr/share/doc/*\npath-include /usr/share/doc/[!x]*/copyright\n"})
    left_out = integrity.exclusions(host)
    assert [left_out(path) for path in (b"/usr/share/doc/a/b/c", b"/usr/share/doc/a/copyright", b"/usr/share/doc/x/copyright", b"/usr/bin/a")] == [
        True,
        False,
        True,
        False,
    ]


def dpkg(text, **files):
    lists = {"/var/lib/dpkg/info/shop:amd64.list": "/.\n/lib/shop.so\n/usr/bin/shop\n"}
    return FakeSystem(commands=dict(DPKG, **{"dpkg --verify": (1, text)}), files=dict(STATUS, **lists, **files))


@pytest.mark.parametrize(
    "before, after, expected",
    [
        ("", "", []),
        ("??5??????   /usr/bin/shop\n", "??5??????   /usr/bin/shop\n", []),
        ("??5??????   /usr/bin/shop\n", "", []),
        ("", "??5??????   /usr/bin/shop\n", [("integrity.changed", "blocker", "shop")]),
        ("??5??????   /usr/bin/shop\n", "missing     /usr/bin/shop\n", [("integrity.missing", "blocker", "shop")]),
        ("", "missing     /usr/lib/shop.so\n", [("integrity.missing", "blocker", "shop")]),
        ("", "missing     /usr/share/a (Permission denied)\n", [("integrity.missing", "warning", "/usr/share/a")]),
        ("", "missing   c /etc/default/shop\n??5?????? c /etc/shop\n??5??????   /opt/x\n", []),
    ],
)
def test_only_what_is_new_is_told_once_for_a_package(before, after, expected):
    assert told(dpkg(before), dpkg(after)) == expected


def test_many_files_are_one_finding():
    found = integrity.compare({"items": {}}, integrity.capture(dpkg("".join("??5??????   /usr/lib/x/%d\n" % n for n in range(9)))))
    assert len(found) == 9, "files that no package's list has stand for themselves"
    lists = {"/var/lib/dpkg/info/x.list": "".join("/usr/lib/x/%d\n" % n for n in range(9))}
    found = integrity.compare({"items": {}}, integrity.capture(dpkg("".join("??5??????   /usr/lib/x/%d\n" % n for n in range(9)), **lists)))
    assert [f.title for f in found] == ["9 of its files are not what the package brought"] and "and 4 more" in found[0].evidence
    assert len(found[0].details["paths"]) == 9


def test_rpm():
    text = (
        "S.5....T.  c /etc/httpd.conf\n.......T.    /usr/lib/a\n..5....T.    /usr/lib/b\nmissing     /usr/lib/c\n"
        ".M...UG..  g /run/x\n....L....    /usr/lib/l\n..?......    /usr/lib/u\n"
    )
    data = integrity.capture(FakeSystem(commands={"rpm -Va": (1, text)}))
    assert {path: item["state"] for path, item in data["items"].items()} == {
        "/usr/lib/b": "content",
        "/usr/lib/c": "missing",
        "/usr/lib/l": "link",
        "/usr/lib/u": "unreadable",
    }


def test_a_dpkg_that_cannot_verify_is_told():
    host = FakeSystem(commands={"dpkg --verify": (2, "", "dpkg: error: parsing file '/var/lib/dpkg/status'")}, files=STATUS)
    with pytest.raises(integrity.IntactError, match="parsing file"):
        integrity.capture(host)
    assert integrity.capture(FakeSystem()) is None
