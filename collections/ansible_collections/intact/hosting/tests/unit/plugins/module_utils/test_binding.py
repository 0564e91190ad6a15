# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pre-flight result is bound to: each change makes it no longer hold, and says which."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _binding
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

MOMENT = datetime.datetime(2026, 11, 30, 1, 0, tzinfo=datetime.timezone.utc)
NOW = {"host_id": "aa", "hostname": "web1", "boot": "b1", "packages": "p1", "sources": "s1", "disks": "d1"}


def made(**more):
    return dict(_binding.bind(NOW, 4, MOMENT), **more)


def test_a_fresh_binding_holds():
    assert _binding.differences(made(), NOW, MOMENT + datetime.timedelta(hours=3)) == []


@pytest.mark.parametrize(
    "change, ident, word",
    [
        ({"boot": "b2"}, "preflight.rebooted", "started again"),
        ({"packages": "p2"}, "preflight.packages.changed", "packages"),
        ({"sources": "s2"}, "preflight.sources.changed", "sources"),
        ({"disks": "d2"}, "preflight.disks.changed", "disks"),
        ({"host_id": "bb", "hostname": "web2"}, "preflight.foreign", "another host"),
    ],
)
def test_each_change_is_its_own_finding(change, ident, word):
    (finding,) = _binding.differences(made(), dict(NOW, **change), MOMENT)
    assert (finding.id, finding.severity, finding.check) == (ident, "blocker", "PF52")
    assert word in finding.title and "check-host" in finding.remedy
    assert finding.subject == change.get("hostname", "web1")


def test_a_foreign_result_is_told_once_whatever_else_differs():
    (finding,) = _binding.differences(made(), {"host_id": "bb", "hostname": "web2", "boot": "x", "packages": "x", "sources": "x", "disks": "x"}, MOMENT)
    assert finding.id == "preflight.foreign" and "web1" in finding.evidence and "web2" in finding.evidence


@pytest.mark.parametrize("hours, ids", [(3.9, []), (4.1, ["preflight.stale"]), (-1, ["preflight.stale"])])
def test_too_old_and_from_the_future(hours, ids):
    assert [f.id for f in _binding.differences(made(), NOW, MOMENT + datetime.timedelta(hours=hours))] == ids


def test_an_edited_binding_is_refused():
    (finding,) = _binding.differences(made(packages=""), NOW, MOMENT)
    assert finding.id == "preflight.unreadable" and "packages" in finding.title


def host(packages, files):
    return FakeSystem(commands={"dpkg-query": packages}, files=dict({"/etc/machine-id": "aa\n", "/proc/sys/kernel/hostname": "web1\n"}, **files))


def test_the_digests_follow_packages_sources_and_disks():
    sources = {"/etc/apt/sources.list": "deb http://a/ b main\n", "/etc/apt/sources.list.d/x.list.save": "old"}
    first = _binding.current(host("a amd64 1 ii \nb amd64 1 ii \n", sources), {"x": {"uuid": "1"}})
    same = _binding.current(host("b amd64 1 ii \na amd64 1 ii \n", dict(sources, **{"/etc/apt/sources.list.d/x.list.save": "new"})), {"x": {"uuid": "1"}})
    assert {k: first[k] for k in _binding.KEYS} == {k: same[k] for k in _binding.KEYS}
    assert _binding.current(host("a amd64 2 ii \nb amd64 1 ii \n", sources), {})["packages"] != first["packages"]
    assert _binding.current(host("", {"/etc/apt/sources.list": "deb http://a/ c main\n"}), {})["sources"] != first["sources"]
    assert _binding.current(host("", dict(sources, **{"/etc/apt/preferences.d/pin": "x"})), {})["sources"] != first["sources"]
    assert _binding.disks_digest({"x": {"uuid": "2"}}) != first["disks"]
