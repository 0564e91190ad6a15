# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on the way to a repository: its password, its disk, its connection, its locks; a run that is killed, and a clock that is wrong."""

from __future__ import annotations

import time

import faults_lab as lab
import pytest

LOCKS = "/srv/backup/web1/store/web1/locks"
BOTH = {"vault", "attic"}


def locks():
    """Ids of attic's locks, as its own disk tells."""
    return set(lab.ATTIC.run("ls", LOCKS).split())


def sent_whole(run, repository, klass):
    """The repository that nothing happened to has its copy."""
    assert run.document["done"][klass][repository]["result"] == "ok", run.said
    assert not [finding for finding in run.findings if finding["subject"].startswith(repository + " ")], run.said


def test_a_wrong_password():
    """Through what the timer starts: the service fails, and is seen to."""
    place = lab.SECRETS + "/attic.password"
    lab.WEB1.sh("cp -a {0} {0}.right; echo wrong > {0}".format(place))
    try:
        lab.WEB1.run("systemctl", "start", "intact-backup@lists.service")

        def over():
            return lab.WEB1.call("systemctl", "is-active", "intact-backup@lists.service").stdout.strip() in ("failed", "inactive")

        lab.until(over, 120, 0.5)
    finally:
        lab.WEB1.sh("mv {0}.right {0}".format(place))
    shown = lab.WEB1.run("systemctl", "show", "intact-backup@lists.service", "-p", "ActiveState,ExecMainStatus").split()
    assert sorted(shown) == ["ActiveState=failed", "ExecMainStatus=2"]
    run = lab.Run(2, "", lab.last_run())
    lab.told(run.findings, "backup.repository.password", "attic lists")
    assert run.document["status"] == "failed" and lab.result("attic", "lists") == "failed"
    sent_whole(run, "vault", "lists")
    lab.WEB1.run("systemctl", "reset-failed", "intact-backup@lists.service")


def test_a_full_disk():
    """The filesystem of the store is made as small as what it holds. SFTP has no word for that, and restic 0.14 would try for a minute each time."""
    used = int(lab.ATTIC.run("df", "--output=used", "-k", "/srv/backup").split()[-1])
    lab.ATTIC.run("mount", "-o", "remount,size=%dk" % used, "/srv/backup")
    try:
        run = lab.backup("system")
    finally:
        lab.ATTIC.run("mount", "-o", "remount,size=2g", "/srv/backup")
    lab.told(run.findings, "backup.repository.full", "attic system")
    assert run.code == 2 and lab.result("attic", "system") == "failed"
    sent_whole(run, "vault", "system")


def test_a_connection_that_is_cut_in_the_middle():
    with lab.in_the_middle("databases") as process:
        lab.ATTIC.sh("systemctl stop ssh.service; kill -KILL $(pgrep -u backup-web1)")
        began = time.monotonic()
    lab.ATTIC.run("systemctl", "start", "ssh.service")
    seconds, run = time.monotonic() - began, lab.Run(process.returncode, process.stdout.read(), lab.last_run())
    lab.told(run.findings, "backup.repository.unreachable", "attic databases mariadb:hilltop_shop")
    assert run.code == 2 and lab.result("attic", "databases") == "failed"
    sent_whole(run, "vault", "databases")
    assert seconds < 100, "it took %d s until that was told" % seconds


def test_a_run_that_is_killed_goes_on_under_its_name():
    """SIGKILL for the program and its restics: what was whole is not done again, torn streams are no snapshots, the dead locks go."""
    before = locks()
    with lab.in_the_middle("system", "databases") as process:
        dead = locks() - before
        assert dead, "restic holds no lock in the middle of its work"
        lab.WEB1.sh("kill -KILL %d $(pgrep -x restic)" % lab.last_run()["pid"])
        assert process.wait(30) != 0
    cut = lab.last_run()
    known = {repository: {shot["id"] for shot in lab.snapshots(repository, "run:" + cut["run"])} for repository in BOTH}
    assert cut["status"] == "running" and cut["classes"] == ["system", "databases"] and set(cut["done"]) == {"system"} and set(cut["done"]["system"]) == BOTH
    assert dead <= locks()
    run = lab.backup("system", "databases")
    assert run.document["run"] == cut["run"] and run.document["resumed"] and run.code == 0, run.said
    for repository in BOTH:
        assert run.document["done"]["system"][repository] == cut["done"]["system"][repository]
        held = lab.snapshots(repository, "run:" + cut["run"])
        assert known[repository] < {shot["id"] for shot in held}
        assert {shot["id"] for shot in held if "class:system" in shot["tags"]} <= known[repository]
        assert sum("hilltop_shop" in shot["paths"][0] for shot in held) == 1
    assert not dead & locks(), "the killed restic's lock is still there"


@pytest.fixture
def reader():
    """A restic of another host that works on attic's copy, and wants it for itself."""
    script = "echo $$; exec restic check --read-data --limit-download 64"
    settings = {"RESTIC_PASSWORD_FILE": lab.CREDENTIALS + "/repository.password", "RESTIC_REPOSITORY": "sftp:backup-web1@attic:/store/web1"}
    command = "ssh -o UserKnownHostsFile={0}/known_hosts -i {0}/sftp.key -l backup-web1 -s attic sftp".format(lab.CREDENTIALS)
    before = locks()
    process = lab.DRILL.start("sh", "-c", script + " -o sftp.command='%s'" % command, **settings)
    pid = process.stdout.readline().strip()

    def has_its_lock():
        assert process.poll() is None, process.stdout.read()
        return locks() - before

    yield lab.until(has_its_lock)
    lab.DRILL.run("kill", "-INT", pid)
    process.wait(60)


def test_another_hosts_lock_is_respected_and_told(reader):
    run = lab.backup("lists")
    finding = lab.told(run.findings, "backup.repository.locked", "attic lists")[0]
    assert "drill.lab.test" in finding["evidence"], finding
    assert run.code == 2 and lab.result("attic", "lists") == "failed"
    sent_whole(run, "vault", "lists")
    assert reader <= locks()


def test_a_clock_that_is_off_by_a_day():
    """vault's server tells the time; attic can't, but it holds a backup from what this host takes for the future, and so does its own journal."""
    run = lab.backup("lists", before=["faketime", "-f", "-1d"])
    findings = lab.told(run.findings, "backup.clock", "vault", "attic", "clock")
    assert "behind" in findings[0]["evidence"] and all(finding["severity"] == "blocker" for finding in findings)
    assert run.code == 1 and run.document["status"] == "findings"
    assert {lab.result(repository, "lists") for repository in BOTH} == {"partial"}
    lab.told(lab.state()[1], "backup.clock", "vault", "attic")


def test_with_everything_mended_it_is_good_again():
    lab.good_backup("system", "databases", "lists")
    assert {lab.result(repository, klass) for repository in BOTH for klass in ("system", "databases", "lists")} == {"ok"}
