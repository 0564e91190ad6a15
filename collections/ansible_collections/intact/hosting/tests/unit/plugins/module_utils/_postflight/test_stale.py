# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes on deleted code: a real process whose library goes away under it, and recorded ones."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._postflight import stale
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

LIBRARY = "7f1 r-xp 00000000 08:01 42                 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n"
OTHERS = (
    "7f0 r--p 00000000 08:01 41                 /usr/lib/read-only.so (deleted)\n"
    "7f2 r-xp 00000000 00:01 43                 /memfd:jit (deleted)\n"
    "7f3 rwxs 00000000 00:01 44                 /dev/zero (deleted)\n"
    "7f4 r-xp 00000000 08:01 45                 /usr/lib/libc.so.6\n"
    "7f5 r-xp 00000000 00:00 0                  [vdso]\n"
    "7f6 r-xp 00000000 08:01 46                 /tmp/jna123.so (deleted)\n"
)


def host(maps=OTHERS, cgroup="0::/system.slice/nginx.service\n", nspid="77", commands=None, **files):
    given = {
        "/proc/1/status": "Name:\tsystemd\nNSpid:\t1\n",
        "/proc/77/maps": maps,
        "/proc/77/cgroup": cgroup,
        "/proc/77/status": "Name:\tnginx\nNSpid:\t%s\n" % nspid,
        "/proc/77/comm": "nginx\n",
        "/proc/78/maps": ProcessLookupError(3, "No such process"),
    }
    return FakeSystem(commands=commands, files=dict(given, **files))


def told(*args, **more):
    return [(f.id, f.severity, f.subject, f.remedy) for f in stale.stale_processes(Context(host(*args, **more)))]


def test_what_programs_delete_on_purpose_is_nobodys_finding():
    assert told() == []


@pytest.mark.parametrize(
    "cgroup, expected",
    [
        ("0::/system.slice/nginx.service\n", ("warning", "nginx.service", "systemctl restart nginx.service")),
        ("1:cpu:/\n2:name=systemd:/docker/1f/system.slice/nginx.service\n", ("warning", "nginx.service", "systemctl restart nginx.service")),
        ("0::/init.scope\n", ("warning", "init.scope", "systemctl daemon-reexec")),
        ("0::/user.slice/user-0.slice/session-3.scope\n", ("info", "session-3.scope", "log out and in again, or end these processes")),
        ("0::/system.slice/dbus.service\n", ("warning", "dbus.service", "reboot: restarting dbus.service by itself takes others down")),
        ("0::/\n", ("warning", "no unit", "log out and in again, or end these processes")),
    ],
)
def test_a_library_that_was_replaced_is_told_by_unit(cgroup, expected):
    assert told(OTHERS + LIBRARY, cgroup=cgroup) == [("processes.stale",) + expected]


def test_a_containers_processes_are_its_own_matter():
    assert told(LIBRARY, nspid="77\t12") == []


def test_needrestart_is_asked_where_it_is_and_never_restarts():
    commands = {"needrestart -b -r l": "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 1\nNEEDRESTART-SVC: cron.service\nNEEDRESTART-SVC: nginx.service\n"}
    assert [row[2] for row in told(LIBRARY, commands=commands)] == ["cron.service", "nginx.service"]
    assert told(commands={"needrestart -b -r l": "NEEDRESTART-VER: 3.6\nNEEDRESTART-SESS: root @ session #28\n"}) == []


def test_the_real_needrestart_has_these_options():
    if not shutil.which("needrestart", path=os.environ["PATH"] + ":/usr/sbin") or os.geteuid() != 0:
        pytest.skip("needs root and needrestart")
    said = System().run(["needrestart", "-b", "-r", "l"], env={"NEEDRESTART_SUSPEND": "", "HOME": "/root"}, check=False)
    assert said.rc == 0 and "NEEDRESTART-VER:" in said.text


def test_a_reboot_that_is_asked_for():
    assert stale.reboot_asked(Context(FakeSystem())) == []
    files = {"/run/reboot-required": "*** System restart required ***\n", "/run/reboot-required.pkgs": "libc6\nlibc6\ndbus\n"}
    found = stale.reboot_asked(Context(FakeSystem(files=files)))
    assert [(f.id, f.severity) for f in found] == [("processes.reboot", "warning")] and "dbus, libc6" in found[0].evidence


@pytest.fixture
def running():
    """A real process that runs code of a library which lies outside of /tmp; a function deletes the library under it."""
    name = ctypes.util.find_library("z")
    source = next((os.path.join(d, name) for d in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib/aarch64-linux-gnu")
                   if name and os.path.exists(os.path.join(d, name))), None)  # fmt: skip
    if not source or os.geteuid() != 0:
        pytest.skip("needs root and libz")
    directory = "/var/lib/intact-test-stale-%d" % os.getpid()
    os.mkdir(directory, 0o700)
    copy = os.path.join(directory, "libgone.so.1")
    shutil.copyfile(source, copy)
    code = "import ctypes, sys; held = ctypes.CDLL(sys.argv[1]); print('up', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code, copy], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"up\n"
        yield process, lambda: os.unlink(copy)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
        shutil.rmtree(directory)


def test_a_real_process_whose_library_is_deleted(running):
    process, delete = running

    def seen():
        return [name for entry in stale.processes(System()).values() for name in entry["names"] if "(%d)" % process.pid in name]

    assert seen() == []
    delete()
    assert len(seen()) == 1
    found = stale.stale_processes(Context(OnlyProc()))
    assert any("libgone.so.1" in f.evidence for f in found)


class OnlyProc(System):
    """The real host without needrestart."""

    def which(self, program):
        return None
