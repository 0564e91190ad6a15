# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's guests are what the other scenarios take for granted."""

from __future__ import annotations

import socket


def test_release_is_the_one_asked_for(host):
    wanted = host.ansible.get_variables()["lab_version"]
    assert host.check_output(". /etc/os-release; echo $VERSION_ID") == wanted


def test_systemd_runs_without_a_failed_unit(host):
    assert host.check_output("systemctl is-system-running --wait") == "running"


def test_usr_is_merged(host):
    for name in ("bin", "sbin", "lib"):
        assert host.file(f"/{name}").is_symlink, f"/{name} is no link: an upgrade to the next release would stop"


def test_service_from_the_archive_was_started_by_its_package(host):
    assert host.service("cron").is_running
    assert not host.file("/usr/sbin/policy-rc.d").exists


def test_ssh_answers_over_both_protocols(host):
    variables = host.ansible.get_variables()
    for address in (variables["lab_ip"], variables["lab_ip6"]):
        with socket.create_connection((address, 22), timeout=10) as connection:
            assert connection.recv(64).startswith(b"SSH-2.0-OpenSSH")


def test_security_updates_are_a_source(host):
    assert "-security" in host.check_output("grep -rh ^deb /etc/apt/sources.list")


def test_identity_is_the_guests_own(host):
    # The image carries neither; both appear at the first boot.
    assert len(host.check_output("cat /etc/machine-id")) == 32
    born = int(host.check_output("stat -c %Y /etc/ssh/ssh_host_ed25519_key"))
    started = int(host.check_output("stat -c %Y /proc/1"))
    assert born >= started - 1, "the SSH host key is older than the guest: it came with the image"
