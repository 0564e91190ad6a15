# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quota files as quota's own tools write them on a real ext4, read without them; limits set on another real ext4 and shown by repquota."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._migration import _quotas, _quotas_file, accounts
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import identity_fixture as fixture

LIMITS = {500: (1000, 2000, 30, 40), 501: (0, 5000, 0, 0), 70000: (7, 8, 0, 0)}
KEYS = _quotas.KEYS


@pytest.fixture
def mount(tmp_path):
    """mount(name): a directory with a fresh ext4 with quotas on it, gone afterwards."""
    if os.geteuid():
        pytest.skip("needs root: mounts loop devices")
    for tool in ("mkfs.ext4", "quotacheck", "setquota", "repquota", "losetup"):
        if not shutil.which(tool):
            pytest.skip("needs %s" % tool)
    done = []

    def made(name, options="usrquota,grpquota"):
        image, target = tmp_path / (name + ".img"), tmp_path / name
        with open(image, "wb") as handle:
            handle.truncate(24 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], check=True)
        os.makedirs(target, exist_ok=True)
        if subprocess.run(["mount", "-o", "loop," + options, str(image), str(target)], check=False, capture_output=True).returncode:
            pytest.skip("this kernel mounts no ext4 with quotas")
        done.append(str(target))
        return str(target)

    yield made
    for target in reversed(done):
        subprocess.run(["quotaoff", "-ug", target], check=False, capture_output=True)
        subprocess.run(["umount", target], check=True)


def written(target, form):
    """The bytes of a quota file with LIMITS as setquota wrote it; 300 numbers more without limits make the tree wide."""
    for number in range(2000, 2300):
        path = os.path.join(target, "f%d" % number)
        with open(path, "wb"):
            pass
        os.chown(path, number, -1)
    subprocess.run(["quotacheck", "-F", form, "-cum", target], check=True, capture_output=True)
    for number, limits in LIMITS.items():
        subprocess.run(["setquota", "-F", form, "-u", str(number), *map(str, limits), target], check=True, capture_output=True)
    with open(os.path.join(target, "quota.user" if form == "vfsold" else "aquota.user"), "rb") as handle:
        return handle.read()


@pytest.mark.parametrize("form", ["vfsv0", "vfsv1", "vfsold"])
def test_files_of_quotas_own_tools(mount, form):
    data = written(mount("old"), form)
    parsed = _quotas_file.parse(data, wide=len(data) % 40 == 0 if form == "vfsold" else None)
    assert parsed["format"] == form
    assert {number: tuple(limit[k] for k in KEYS) for number, limit in parsed["limits"].items()} == LIMITS


def test_an_array_of_a_32_bit_system():
    def record(*fields):
        return struct.pack("<8I", *fields)

    data = record(0, 0, 0, 0, 0, 0, 604800, 604800) + record(20, 10, 5, 4, 3, 2, 0, 0) + record(*[0] * 8)
    assert _quotas_file.parse(data, wide=False)["limits"] == {1: {"blocks_soft": 10, "blocks_hard": 20, "files_soft": 3, "files_hard": 4, "used_kib": 5}}


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 33, struct.pack("<II", 0xD9C01F11, 9), struct.pack("<II", 0xD9C01F11, 1) + b"\0" * 1200, b"\x11\x1f\xc0\xd9\1\0\0\0" + b"\1\0\0\0" * 900],
)
def test_what_is_no_quota_file_is_said(data):
    with pytest.raises(ValueError, match=r"\w"):
        _quotas_file.parse(data)


def test_a_sparse_array_of_a_huge_number_is_not_read(tmp_path):
    fixture.write(tmp_path, {"/etc/fstab": "/dev/hda1 / ext3 usrquota 1 1\n"})
    with open(tmp_path / "quota.user", "wb") as handle:
        handle.truncate(4294967295 * 32)
    findings = []
    assert _quotas.read(fixture.Rooted(os.path.realpath(str(tmp_path))), findings) == []
    assert "larger than 64 MiB" in findings[0]["evidence"]


class Live:
    """The new host's scratch root, with the real mounts and the real tools."""

    def __new__(cls, root):
        from ansible_collections.intact.hosting.plugins.module_utils._system import System

        class Scratch(fixture.Rooted):
            def which(self, program):
                return System().which(program)

            def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
                return System().run(argv, timeout, stdin, env, check)

            def read(self, path, limit=None):
                return System().read(path, limit) if path.startswith("/proc/") else super().read(path, limit)

        return Scratch(os.path.realpath(root))


def test_limits_are_told_then_set_when_the_files_are_there(tmp_path, mount):
    context = fixture.migration(tmp_path)
    target = mount("live")
    subprocess.run(["quotacheck", "-cugm", target], check=True, capture_output=True)
    # a kernel without quota formats leaves them off; the tools then work on the files
    subprocess.run(["quotaon", "-ug", target], check=False, capture_output=True)
    data = written(mount("measured"), "vfsv0")
    # the old disk's filesystem was mounted where the new one is
    fixture.write(context.root, {target + "/aquota.user": data, "/etc/fstab": "LABEL=home %s ext3 defaults,usrquota,grpquota 1 2\n" % target})
    told = accounts.run(context)
    assert [f["id"] for f in told["findings"] if "quota" in f["id"]] == ["accounts.quota.unread", "accounts.quota.listed"]
    context.system = Live(context.system.root)
    early = accounts.run(context)
    assert early["counts"]["quotas_set"] == 0 and any("files are not here yet" in f["title"] for f in early["findings"])
    context.document = lambda phase: {"status": "done"}
    foretold = accounts.run(context, check=True)
    assert foretold["changed"]
    document = accounts.run(context)
    assert document["changed"] and document["counts"] == dict(document["counts"], quotas=3, quotas_set=2)
    shown = subprocess.run(["repquota", "-uvn", target], check=True, capture_output=True, text=True).stdout
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.startswith("#")}
    identity = context.identity()
    assert rows["#%d" % identity.uid(500)][3:5] == ["1000", "2000"] and rows["#%d" % identity.uid(501)][3:5] == ["0", "5000"]
    assert "#%d" % identity.uid(70000) not in rows, "nobody's files get no limits"
    assert not accounts.run(context)["changed"]
