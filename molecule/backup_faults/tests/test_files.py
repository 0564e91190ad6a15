# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a host's files, in one backup: a directory that was emptied, a file that is never still, a disk that has lost its end."""

from __future__ import annotations

import subprocess

import faults_lab as lab
import pytest

EMPTIED = "/home/hilltop/www/gallery-07"
RESTLESS = "/home/harbour/guests/restless.dat"
BROKEN = "/srv/archive/ledger-2019.pdf"


def disk():
    """(device, its image on the controller) of the archive."""
    device = subprocess.run([lab.ROOT / "scripts/data-disk", "show", lab.WEB1.container + "-spare"], capture_output=True, text=True, check=True).stdout.strip()
    image = subprocess.run(["losetup", "--noheadings", "--output", "BACK-FILE", device], capture_output=True, text=True, check=True).stdout.strip()
    assert "intact-m-bfaults" in image
    return device, image


def break_disk():
    """The disk ends in the middle of one file: reading the rest is an error of the device. Returns how it is replaced."""
    device, image = disk()
    # the line of the file's only extent: "0: 0.. 2999: 10241.. 13240: ..."
    extent = lab.WEB1.run("filefrag", "-v", BROKEN).splitlines()[3].replace(".", " ").replace(":", " ").split()
    block = int(lab.WEB1.run("stat", "--file-system", "--format=%S", BROKEN))
    size = int(subprocess.run(["stat", "--format=%s", image], capture_output=True, text=True, check=True).stdout)
    # a file that nobody touched since the last backup is not read again by restic
    lab.WEB1.run("touch", BROKEN)
    lab.WEB1.run("umount", "/srv/archive")
    subprocess.run(["truncate", "--size=%d" % ((int(extent[3]) + 1000) * block), image], check=True)
    lab.WEB1.run("mount", device, "/srv/archive")

    def replace():
        lab.WEB1.run("umount", "/srv/archive")
        subprocess.run(["truncate", "--size=%d" % size, image], check=True)
        lab.WEB1.run("python3", lab.HELPER, "archive", device)

    return replace


@pytest.fixture(scope="module")
def run():
    """One backup with all three."""
    replace = break_disk()
    lab.WEB1.sh("cp -a {0} /var/lib/intact-faults/kept; find {0} -mindepth 1 -delete".format(EMPTIED))
    writer = lab.WEB1.start("python3", lab.HELPER, "write", RESTLESS)
    pid = writer.stdout.readline().strip()
    try:
        return lab.backup("files")
    finally:
        lab.WEB1.sh("kill {2}; rm {1}; rmdir {0}; mv /var/lib/intact-faults/kept {0}".format(EMPTIED, RESTLESS, pid))
        writer.wait(10)
        replace()


def test_the_disk_really_failed(run):
    """Input/output error from the kernel, not something that only looks like one."""
    evidence = [finding["evidence"] for finding in run.findings if finding["id"] == "backup.source.unreadable"]
    assert any("nput/output error" in said for said in evidence), evidence


def test_an_unreadable_file(run):
    """By the eyes that make the manifest, and by each restic."""
    lab.told(run.findings, "backup.source.unreadable", "files " + BROKEN, "vault files " + BROKEN, "attic files " + BROKEN)
    lab.told(run.findings, "backup.snapshot.incomplete", "vault files " + BROKEN, "attic files " + BROKEN)


def test_an_emptied_directory(run):
    finding = lab.told(run.findings, "backup.class.empty", "files " + EMPTIED)[0]
    assert finding["severity"] == "blocker" and finding["evidence"].startswith("48 in the last good backup"), finding


def test_a_file_that_changes_while_it_is_read(run):
    """Each copy of it is a mixture, and so is each look at it."""
    finding = lab.told(run.findings, "backup.source.volatile", "files " + RESTLESS)[0]
    # that it could be looked at is no question: a busy log would be a blocker each night
    assert finding["severity"] == "warning" and "times it was read" in finding["evidence"], finding
    assert not [other for other in run.findings if other["id"] == "backup.source.unreadable" and RESTLESS in other["subject"]]


def test_nothing_else_is_told_and_it_is_not_good(run):
    assert run.code != 0 and run.document["status"] == "findings"
    assert {finding["subject"].split()[-1] for finding in run.findings} == {EMPTIED, RESTLESS, BROKEN}, run.said
    assert {lab.result(repository, "files") for repository in ("vault", "attic")} == {"partial"}


def test_with_everything_back_in_its_place_it_is_good(run):
    assert lab.good_backup("files").document["run"] != run.document["run"]
