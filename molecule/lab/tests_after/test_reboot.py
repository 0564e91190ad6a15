# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reboot inside a guest is a real one, and loses nothing."""

from __future__ import annotations


def test_system_started_again(host):
    before = int(host.file("/root/started-before").content_string)
    assert int(host.check_output("stat -c %Y /proc/1")) > before


def test_everything_is_up_again(host):
    assert host.check_output("systemctl is-system-running --wait") == "running"
    assert host.service("cron").is_running
    assert host.file("/root/mark").content_string == "written before the reboot\n"
