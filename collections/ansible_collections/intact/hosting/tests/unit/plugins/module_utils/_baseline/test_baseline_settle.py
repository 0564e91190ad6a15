# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for a host that has only just booted."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _settle
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

SSH = "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"
WEB = SSH + "LISTEN 0 128 0.0.0.0:80 0.0.0.0:*\n"


def host(age, states=("running",), heard=(WEB,)):
    """PID 1 has run for age seconds; states and heard are the answers of systemctl and ss, the last one for ever."""
    answers = {"systemctl": list(states), "ss": list(heard)}

    def answer(argv, stdin):
        left = answers[argv[0]]
        return left.pop(0) if len(left) > 1 else left[0]

    files = {"/proc/uptime": "%.2f 1.0" % (1000 + age), "/proc/1/stat": "1 (init (x)) S " + "0 " * 18 + "100000 0 0"}
    return FakeSystem(commands={"systemctl is-system-running": answer, "ss -H -l -n -t": answer}, files=files)


def run(system, seconds=90):
    slept = []
    return _settle.wait(system, seconds, sleep=slept.append, ticks=100), slept


def test_a_host_that_runs_for_long_is_not_waited_for():
    system = host(91)
    assert run(system) == (0, []) and system.calls == []
    assert run(host(10), seconds=0) == (0, [])


def test_a_young_host_is_given_its_time_and_listened_to_twice():
    assert run(host(30)) == (65, [60.0, 5])


def test_listeners_that_still_come_are_waited_for():
    waited, slept = run(host(80, heard=("", SSH, WEB, WEB)))
    assert waited == 25 and slept == [10.0, 5, 5, 5]


def test_a_boot_that_goes_on_is_waited_for():
    assert run(host(89, states=("starting", "starting", "starting", "running")))[0] == 16


def test_a_boot_that_never_ends_does_not_keep_us_for_ever():
    waited, _slept = run(host(89, states=("starting",)))
    assert 390 <= waited < 400


def test_without_proc_there_is_no_wait():
    assert run(FakeSystem()) == (0, [])
