# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After all refusals the server is as it was: still on its release, its services up, its package database sound, its hold held."""

import pytest


def test_still_on_its_release(host):
    assert 'VERSION_ID="12"' in host.file("/etc/os-release").content_string


def test_the_package_database_is_sound_and_unlocked(host):
    assert host.run("dpkg --audit").stdout == ""
    assert host.run("apt-get check").rc == 0
    assert host.run("ls /var/lib/dpkg/updates").stdout == ""
    assert host.run("apt-mark showhold").stdout.split() == ["unzip"]


@pytest.mark.parametrize("name", ["lab-newcomer", "lab-broken", "webmin"])
def test_nothing_of_the_seeds_is_left(host, name):
    assert host.run("dpkg-query -W %s" % name).rc != 0


@pytest.mark.parametrize("unit", ["nginx", "mariadb", "postfix", "dovecot", "named", "ssh", "php8.2-fpm", "postgresql@15-main", "mailman3"])
def test_services_never_stopped(host, unit):
    assert host.service(unit).is_running, host.run("journalctl -n 30 -u %s" % unit).stdout


def test_configurations_are_valid_and_todays(host):
    assert host.run("nginx -t").rc == 0
    assert "disable_plaintext_auth" in host.run("doveconf -n").stdout


def test_no_source_of_the_target_is_configured(host):
    assert host.run("grep -rE '^[^#]*trixie' /etc/apt/sources.list /etc/apt/sources.list.d").rc == 1


def test_no_copy_of_the_hosts_secrets_is_left_behind(host):
    assert host.run("ls -d /var/lib/intact/cache/targetroot/work-* /var/lib/intact/cache/targetroot/new-*").stdout == ""
    shadows = host.run("find /var/lib/intact -name shadow -o -name '*.key' -path '*ssl*'").stdout.split()
    assert shadows == []
    assert host.file("/var/lib/intact").mode == 0o700


def test_no_mount_is_left_behind(host):
    assert "/var/lib/intact" not in host.file("/proc/mounts").content_string
    assert "/var/cache/apt/archives" not in host.file("/proc/mounts").content_string
