# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release pair, patches, package database, locks, holds, minimum versions and removals."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import foreign, packages, release, removals
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake


@pytest.mark.parametrize(
    "os_release, ident, word",
    [
        ('ID=debian\nVERSION_ID="12"\n', None, ""),
        ('ID=debian\nVERSION_ID="13"\n', "release.reached", "nothing to upgrade"),
        ('ID=debian\nVERSION_ID="11"\n', "release.unsupported", "11 -> 12 -> 13"),
        ('ID=ubuntu\nVERSION_ID="22.04"\n', "release.unsupported", "intact_release_path"),
    ],
)
def test_the_pair_is_one_step(os_release, ident, word):
    found = release.pair(fake.context(files={"/etc/os-release": os_release}))
    assert [f.id for f in found] == ([ident] if ident else [])
    assert all(word in f.remedy for f in found)


def test_a_host_from_which_no_path_starts_is_told_and_is_no_blocker():
    found = release.pair(fake.context(release_path={}, files={"/etc/os-release": 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'}))
    assert fake.ids(found) == [("release.path.none", "info", "Debian GNU/Linux 13 (trixie)")]


def test_a_path_of_two_releases_is_refused():
    path = dict(fake.PATH, source={"id": "debian", "version": "11"})
    assert [f.id for f in release.pair(fake.context(release_path=path))] == ["release.path.unsupported"]


PATHS = {
    "almalinux": {"engine": "leapp", "source": {"id": "almalinux", "version": "8"}, "target": {"id": "almalinux", "version": "9"}},
    "fedora": {"engine": "dnf", "source": {"id": "fedora", "version": "41"}, "target": {"id": "fedora", "version": "43"}},
    "ubuntu": {"engine": "ubuntu", "source": {"id": "ubuntu", "version": "22.04"}, "target": {"id": "ubuntu", "version": "24.04"}},
    "opensuse-leap": {"engine": "zypper", "source": {"id": "opensuse-leap", "version": "15.6"}, "target": {"id": "opensuse-leap", "version": "16.0"}},
}


@pytest.mark.parametrize(
    "name, version, ident",
    [
        ("almalinux", "8.10", None),
        ("almalinux", "8", None),
        ("almalinux", "9.4", "release.reached"),
        ("almalinux", "7.9", "release.unsupported"),
        ("almalinux", "80.1", "release.unsupported"),
        ("fedora", "41", None),
        ("fedora", "43", "release.reached"),
        ("ubuntu", "22.04", None),
        ("ubuntu", "22.10", "release.unsupported"),
        ("opensuse-leap", "15.6", None),
        ("opensuse-leap", "15.5", "release.unsupported"),
    ],
)
def test_a_minor_version_is_of_its_release_and_other_engines_know_how_far_they_go(name, version, ident):
    found = release.pair(fake.context(release_path=PATHS[name], files={"/etc/os-release": 'ID="%s"\nVERSION_ID="%s"\n' % (name, version)}))
    assert [f.id for f in found] == ([ident] if ident else [])


def test_unpatched_blocks_unless_the_upgrade_patches_itself():
    plan = {"patch": [{"name": "bash", "from": "1", "to": "2"}]}
    assert fake.ids(release.patched(fake.context(plan=plan))) == [("packages.unpatched", "blocker", "1 packages")]
    assert release.patched(fake.context(plan=dict(plan, stages=["patch-source"])))[0].severity == "warning"
    assert release.patched(fake.context(plan={"patch": []})) == []


def test_a_due_reboot_blocks_and_a_containers_kernel_is_not_judged():
    found = release.reboot(fake.context(files={"/run/reboot-required": "", "/run/reboot-required.pkgs": "libc6\nlibc6\ndbus\n"}))
    assert fake.ids(found) == [("reboot.required", "blocker", "/run/reboot-required"), ("kernel.unseen", "info", "kernel")]
    assert found[0].evidence == "asked for by: dbus libc6"


@pytest.mark.parametrize("running, expected", [("6.1.0-40-amd64", []), ("6.1.0-39-amd64", ["kernel.old"])])
def test_the_newest_kernel_runs(running, expected):
    commands = {
        "systemd-detect-virt --container": (1, "none"),
        "dpkg --compare-versions 6.1.0-39-amd64 gt 6.1.0-40-amd64": (1, ""),
        "dpkg --compare-versions 6.1.0-40-amd64 gt 6.1.0-39-amd64": (0, ""),
    }
    installed = "linux-image-6.1.0-39-amd64\t1\tii \nlinux-image-6.1.0-40-amd64\t2\tii \nlinux-image-amd64\t2\tii \n"
    context = fake.context(commands, {"/run/systemd/container": None}, installed, release=running)
    assert [f.id for f in release.reboot(context)] == expected


def database(files=None, audit="", check=(0, ""), installed=""):
    return packages.database(fake.context({"dpkg --audit": audit, "apt-get": check}, files, installed))


def test_a_sound_package_database_is_silent():
    assert database(installed=fake.packages(bash="5", gone=("1", "rc "))) == []


@pytest.mark.parametrize(
    "status, word", [("iU ", "unpacked"), ("iF ", "half-configured"), ("iH ", "half-installed"), ("iiR", "reinstallation"), ("it ", "triggers pending")]
)
def test_each_broken_state_is_named(status, word):
    (finding,) = database(installed=fake.packages(bash="5", tool=("1", status)))
    assert (finding.id, finding.subject, finding.severity) == ("packages.broken", "tool", "blocker") and word in finding.title


def test_an_interrupted_dpkg_and_broken_dependencies():
    assert [f.id for f in database({"/var/lib/dpkg/updates/0001": "garbage"})] == ["packages.database.updates"]
    (finding,) = database(check=(100, "", "E: Unmet dependencies. Try 'apt --fix-broken install'"))
    assert finding.id == "packages.database" and "Unmet dependencies" in finding.evidence


def test_the_check_never_asks_for_the_live_lock_or_cache():
    context = fake.context({"dpkg --audit": "", "apt-get": ""})
    packages.database(context)
    (conf,) = [text for path, text in context.host.written.items() if path.endswith("apt.conf")]
    assert b"Debug::NoLocking" in conf and b'Dir::Cache::pkgcache ""' in conf and b"#clear DPkg::Post-Invoke;" in conf


def test_a_held_lock_and_a_working_apt_are_told_once():
    context = fake.context(
        locks={"/var/lib/dpkg/lock-frontend": 7},
        running=[
            (7, "apt-get", ["apt-get", "install", "x"]),
            (9, "unattended-upgr", ["/usr/bin/python3", "/usr/share/unattended-upgrades/unattended-upgrade-shutdown", "--wait-for-signal"]),
        ],
    )
    (finding,) = packages.busy(context)
    assert finding.id == "packages.locked" and "apt-get install x" in finding.evidence
    (finding,) = packages.busy(fake.context(running=[(8, "dpkg", ["dpkg", "-i", "x.deb"])]))
    assert finding.id == "packages.busy"
    assert packages.busy(fake.context()) == []


def test_held_and_pinned_need_a_decision():
    files = {
        "/etc/apt/preferences.d/db.pref": "# why\nPackage: mariadb-*\nPin: release n=bookworm\nPin-Priority: 1001\n",
        "/etc/apt/preferences.d/old.bak": "Package: x\nPin: origin y\n",
    }
    installed = fake.packages(tool=("1", "hi "), bash="5")
    found = packages.held(fake.context(files=files, installed=installed))
    assert fake.ids(found) == [("packages.held", "blocker", "tool"), ("packages.pinned", "blocker", "mariadb-*")]
    assert "preflight_accepted_holds" in found[0].remedy and "bookworm" in found[1].evidence
    decided = [{"package": "tool", "decision": "keep", "reason": "r"}, {"package": "mariadb-*", "decision": "unhold-and-rehold", "reason": "r"}]
    assert {f.severity for f in packages.held(fake.context(files=files, installed=installed, options={"accepted_holds": decided}))} == {"info"}


def test_a_pin_that_only_orders_sources_is_a_note():
    files = {"/etc/apt/preferences.d/acme": "Package: *\nPin: release o=Acme\nPin-Priority: 100\n\nPackage: acme-*\nPin: release o=Acme\nPin-Priority: 500\n"}
    assert fake.ids(packages.held(fake.context(files=files))) == [("packages.pinned.ordinary", "info", "*"), ("packages.pinned.ordinary", "info", "acme-*")]


def test_a_hold_decided_for_one_package_says_nothing_of_another():
    found = packages.held(
        fake.context(installed=fake.packages(tool=("1", "hi ")), options={"accepted_holds": [{"package": "other", "decision": "keep", "reason": "r"}]})
    )
    assert fake.ids(found) == [("packages.held", "blocker", "tool")]


@pytest.mark.parametrize("entry, word", [({"package": "x", "decision": "remove", "reason": "r"}, "'remove'"), ({"package": "x", "decision": "keep"}, "reason")])
def test_a_decision_that_decides_nothing_is_refused(entry, word):
    with pytest.raises(IntactError, match=word):
        packages.check_holds([entry])


POLICY = """here:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 500
        500 http://a bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
local:
  Installed: 2.0
  Candidate: 2.0
  Version table:
 *** 2.0 100
        100 /var/lib/dpkg/status
ahead:
  Installed: 3.0
  Candidate: 3.0
  Version table:
 *** 3.0 100
        100 /var/lib/dpkg/status
     2.9 500
        500 http://a bookworm/main amd64 Packages
behind:
  Installed: 1.0
  Candidate: 1.1
  Version table:
     1.1 500
        500 http://a bookworm/main amd64 Packages
 *** 1.0 100
        100 /var/lib/dpkg/status
absent:
  Installed: (none)
  Candidate: 1
  Version table:
     1 500
        500 http://a bookworm/main amd64 Packages
"""


def test_only_packages_that_no_source_has_are_foreign():
    assert foreign.obsolete(foreign.parse_policy(POLICY)) == [("ahead", "3.0"), ("local", "2.0")]


def test_foreign_packages_are_accepted_by_name():
    commands = {"apt-get": "", "apt-cache": POLICY}
    context = fake.context(commands, installed=fake.packages(here="1.0", local="2.0"), options={"accepted_packages": [{"package": "local", "reason": "ours"}]})
    assert fake.ids(foreign.foreign(context)) == [("packages.foreign", "warning", "ahead"), ("packages.foreign.accepted", "info", "local")]


@pytest.mark.parametrize("rc, expected", [(0, []), (1, [("access.sshd.old", "blocker", "openssh-server")])])
def test_sshd_must_be_new_enough(rc, expected):
    context = fake.context({"dpkg --compare-versions": (rc, "")}, installed=fake.packages(openssh_server="1:9.2p1-2+deb12u6"))
    assert fake.ids(foreign.minimum_versions(context)) == expected


def test_removals_of_protected_packages():
    plan = {
        "remove": [
            {"name": "postfix", "from": "3.7"},
            {"name": "php8.2-fpm", "from": "8.2"},
            {"name": "libfoo1", "from": "1"},
            {"name": "isc-dhcp-client", "from": "4", "replacement": "dhcpcd"},
            {"name": "bind9", "from": "9"},
        ]
    }
    found = removals.removals(fake.context(plan=plan, options={"accepted_removals": [{"package": "bind9", "reason": "moved away"}]}))
    assert fake.ids(found) == [
        ("packages.removal.protected", "blocker", "postfix"),
        ("packages.removal.accepted", "info", "php8.2-fpm"),
        ("packages.removal.replaced", "info", "isc-dhcp-client"),
        ("packages.removal.accepted", "info", "bind9"),
        ("packages.removals", "info", "1 packages"),
    ]
    assert "preflight_accepted_removals" in found[0].remedy
