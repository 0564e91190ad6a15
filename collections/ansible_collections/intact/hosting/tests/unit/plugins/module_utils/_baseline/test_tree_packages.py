# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk over real trees: what the package database says of them."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin, files
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


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
