# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AppArmor and SELinux: what confines less than before is told, new names and packages' own profiles are not."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import confinement
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

NAMED = "#include <tunables/global>\nprofile named /usr/sbin/named flags=(attach_disconnected) {\n}\n"
OURS = "/usr/local/bin/shop {\n  /srv/shop/** r,\n}\n"
UNITS = "Id=named.service\nMainPID=77\nTransient=no\n\nId=cron.service\nMainPID=78\nTransient=no\n\nId=down.service\nMainPID=0\n"


def apparmor(loaded="named (enforce)\n/usr/local/bin/shop (enforce)\nnamed//child (enforce)\n", label="named (enforce)\n", named=NAMED, **files):
    known = " /etc/apparmor.d/usr.sbin.named %s\n" % hashlib.md5(NAMED.encode()).hexdigest()
    return FakeSystem(
        commands={"systemctl show": UNITS, "dpkg-query -W": "bind9\n" + known},
        files=dict(
            {
                confinement.APPARMOR: "Y\n",
                confinement.LOADED: loaded,
                "/etc/apparmor.d/usr.sbin.named": named,
                "/etc/apparmor.d/shop": OURS,
                "/etc/apparmor.d/shop.dpkg-dist": "/bin/other {\n}\n",
                "/proc/77/attr/current": label,
                "/proc/78/attr/current": "unconfined\n",
            },
            **files,
        ),
    )


def told(before, after):
    return [(f.id, f.severity, f.subject) for f in confinement.compare(confinement.capture(before), confinement.capture(after))]


def test_what_is_loaded_and_whom_it_confines():
    data = confinement.capture(apparmor())
    assert data["items"]["AppArmor profile named"] == {"mode": "enforce", "file": "/etc/apparmor.d/usr.sbin.named", "origin": "conffile-unmodified"}
    assert data["items"]["AppArmor profile /usr/local/bin/shop"]["origin"] == "local"
    assert data["items"]["daemon named.service"] == {"label": "named", "mode": "enforce"}
    assert "AppArmor profile named//child" not in data["items"] and "daemon down.service" not in data["items"]
    assert data["summary"] == {"enforced profiles": 2, "confined daemons": 1}
    assert told(apparmor(), apparmor()) == []


def test_a_package_may_rename_its_profile_while_its_daemon_stays_confined():
    after = apparmor(loaded="named-9 (enforce)\n/usr/local/bin/shop (enforce)\nbrave (unconfined)\n", label="named-9 (enforce)")
    assert told(apparmor(), after) == []


@pytest.mark.parametrize(
    "after, expected",
    [
        ({"label": "unconfined\n"}, [("confinement.lost", "blocker", "daemon named.service")]),
        ({"label": "named (complain)"}, [("confinement.lost", "blocker", "daemon named.service")]),
        (
            {"loaded": "named (complain)\n/usr/local/bin/shop (enforce)\n"},
            [("confinement.weaker", "blocker", "AppArmor profile named")],
        ),
        ({"loaded": "named (enforce)\n"}, [("confinement.missing", "blocker", "AppArmor profile /usr/local/bin/shop")]),
        ({"loaded": "/usr/local/bin/shop (enforce)\n"}, []),
        ({confinement.APPARMOR: "N\n"}, [("confinement.off", "blocker", "AppArmor")]),
    ],
)
def test_what_confines_less(after, expected):
    assert told(apparmor(), apparmor(**after)) == expected
    assert told(apparmor(**after), apparmor()) == [], "stricter than before is no finding"


def test_a_daemon_that_does_not_run_is_the_services_to_tell():
    after = apparmor()
    after.commands[("systemctl", "show")] = "Id=cron.service\nMainPID=78\n"
    assert told(apparmor(), after) == []


@pytest.mark.parametrize("mark", confinement.CONTAINERS)
def test_a_container_is_confined_by_its_machine(mark):
    data = confinement.capture(apparmor(**{mark: ""}))
    assert data["items"] == {} and data["contained"]
    assert told(apparmor(), apparmor(**{mark: ""})) == []


def test_a_host_without_either_has_nothing_to_tell():
    assert confinement.capture(FakeSystem())["items"] == {}


def test_a_directory_that_is_not_mounted_is_told_as_not_looked_at():
    host = apparmor(**{confinement.LOADED: PermissionError(13, "Permission denied")})
    confinement.capture(host)
    assert [entry["what"] for entry in host.unlooked] == ["AppArmor's profiles"]


def selinux(enforce="1", boot="enforcing", boolean="1 1", module=True, label="system_u:system_r:httpd_t:s0\0"):
    files = {
        "/sys/fs/selinux/enforce": enforce,
        "/sys/fs/selinux/booleans/httpd_can_network_connect": boolean,
        "/etc/selinux/config": "# x\nSELINUX=%s\nSELINUXTYPE=targeted\n" % boot,
        "/proc/77/attr/current": label,
        "/proc/78/attr/current": "system_u:system_r:unconfined_service_t:s0\0",
    }
    if module:
        files["/var/lib/selinux/targeted/active/modules/400/shop/cil"] = "x"
    return FakeSystem(commands={"systemctl show": UNITS.replace("named", "httpd")}, files=files)


@pytest.mark.parametrize(
    "after, expected",
    [
        ({}, []),
        ({"enforce": "0"}, [("confinement.off", "blocker", "SELinux")]),
        ({"boot": "permissive"}, [("confinement.weaker", "blocker", "SELinux")]),
        ({"boolean": "0 0"}, [("confinement.boolean.changed", "warning", "SELinux boolean httpd_can_network_connect")]),
        ({"module": False}, [("confinement.module.missing", "blocker", "SELinux module shop")]),
        ({"label": "system_u:system_r:unconfined_service_t:s0"}, [("confinement.lost", "blocker", "daemon httpd.service")]),
    ],
)
def test_selinux(after, expected):
    assert told(selinux(), selinux(**after)) == expected


def test_names_of_profiles_in_all_their_forms():
    text = 'abi <abi/3.0>,\n@{x} = a\n"/opt/my app" flags=(complain) {\n}\nprofile "a b" /x {\n}\n/usr/bin/{a,b} {\n}\nprofile c {  # y\n'
    assert set(confinement.profile_files({"/f": text})) == {"/opt/my app", "a b", "/usr/bin/{a,b}", "c"}


def test_the_directories_beside_the_profiles_are_not_read():
    """/etc/apparmor.d/abi and tunables/ are on every Debian: the section could not be read (seen on a virtual machine)."""
    system = apparmor(**{"/etc/apparmor.d/abi/3.0": "x", "/etc/apparmor.d/tunables/global": "@{HOME}=/home"})
    assert confinement.capture(system)["items"] == confinement.capture(apparmor())["items"]
