# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a backup and a drill: both places hold every class, the proof is signed, and nothing secret lies about."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
SECRETS = RESULTS / "secrets"
CLASSES = ["databases", "files", "lists", "mail", "system"]


@pytest.fixture(scope="module")
def proof():
    found = sorted((RESULTS / "proofs").glob("web1-*-proof.json"))
    assert found, "the drill brought no proof to the controller"
    return json.loads(found[-1].read_text())


@pytest.fixture(scope="module")
def findings():
    """What the same drill told, as the role brought it to the controller beside the proof."""
    found = sorted((RESULTS / "proofs").glob("web1-*-findings.json"))
    assert found, "the drill brought no findings to the controller"
    return json.loads(found[-1].read_text())


def test_both_places_are_proven_class_by_class(proof):
    assert proof["result"] == "proven" and proof["host"] == "web1.lab.test"
    assert sorted(proof["repositories"]) == ["attic", "vault"]
    for name, repository in proof["repositories"].items():
        assert sorted(repository["classes"]) == CLASSES, name
        for kind, entry in repository["classes"].items():
            assert entry["result"] == "proven", (name, kind, entry)
            assert any(entry["counts"].values()), (name, kind, entry)
            assert entry["compared"].get("files") or entry["compared"].get("tables"), (name, kind, entry)
            assert entry["seconds"] > 0


def test_each_mbox_was_compared(host, findings):
    """Nothing comes in while the lab is backed up. Once each mbox was called volatile all the same, and none was compared."""
    if host.backend.get_hostname() != "web1.lab.test":
        pytest.skip("only web1 is backed up")
    manifest = json.loads(host.check_output("zcat /var/lib/intact/backup/manifests/mail.json.gz"))
    mboxes = {path for path in manifest["sections"]["files"]["items"] if path.startswith("/var/mail/")}
    assert mboxes, "the manifest names no mbox below /var/mail: nothing is tested here"
    assert not mboxes & set(manifest["volatile"])
    volatile = [finding["details"] for finding in findings if finding["id"] == "backup.source.volatile"]
    named = {path for details in volatile for path in [details["object"], *details["paths"]]}
    assert sorted(path for path in named if path.startswith("/var/mail")) == []


def test_the_proof_is_signed_by_the_drill_hosts_key(proof, tmp_path):
    """By ssh-keygen, which shares nothing with the project; the signed text is made here from what the documentation says."""
    signers, signature = tmp_path / "signers", tmp_path / "signature"
    signers.write_text('drill namespaces="intact-proof" ' + (SECRETS / "proof.key.pub").read_text())
    signature.write_text(proof["signature"])
    text = json.dumps({key: value for key, value in proof.items() if key not in ("digest", "signature")}, sort_keys=True, separators=(",", ":"))
    argv = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "drill", "-n", "intact-proof", "-s", signature]
    assert subprocess.run(argv, input=text, text=True, check=False, capture_output=True).returncode == 0
    changed = text.replace("proven", "Proven", 1)
    assert subprocess.run(argv, input=changed, text=True, check=False, capture_output=True).returncode != 0


def test_the_host_holds_the_same_proof(host, proof):
    if host.backend.get_hostname() == "web1.lab.test":
        held = json.loads(host.file("/var/lib/intact/proofs/backup.json").content_string)
        assert held == proof


def test_secrets_are_roots_alone_and_nowhere_else(host):
    """Password of the repositories and of the REST server: in files of mode 0600 below /etc/intact and in no other place that we write."""
    if host.backend.get_hostname() not in ("web1.lab.test", "drill.lab.test"):
        pytest.skip("holds no password of ours")
    for name in ("repository.password", "rest.password"):
        word = (SECRETS / name).read_text().strip()
        found = host.run("grep -rslF -e %s /etc /var/lib/intact /var/lib/intact-drills /var/log /usr/local /run/log /root", word).stdout.split()
        wrong = [path for path in found if not path.startswith("/etc/intact/backup/")]
        assert not wrong, wrong
        for path in found:
            assert host.file(path).mode == 0o600 and host.file(path).user == "root"
    assert host.run("ls -A /var/lib/intact-drills").stdout.strip() == ""


def test_timers_wait_for_their_time(host):
    if host.backend.get_hostname() == "web1.lab.test":
        listed = host.check_output("systemctl list-timers --all --no-legend 'intact-backup-*'")
        for name in CLASSES:
            assert "intact-backup-%s.timer" % name in listed


def test_the_timers_service_backs_up_by_itself(host):
    """What the timer starts, under systemd with its hardening, not through Ansible."""
    if host.backend.get_hostname() != "web1.lab.test":
        pytest.skip("only web1 is backed up")
    done = host.run("systemctl start intact-backup@databases.service")
    assert done.rc == 0, done.stderr
    deadline = time.monotonic() + 180
    while host.run("systemctl is-active intact-backup@databases.service").stdout.strip() != "inactive" and time.monotonic() < deadline:
        time.sleep(2)
    shown = host.check_output("systemctl show intact-backup@databases.service -p ActiveState,Result,ExecMainStatus").splitlines()
    assert sorted(shown) == ["ActiveState=inactive", "ExecMainStatus=0", "Result=success"], host.run(
        "journalctl -n 40 -u intact-backup@databases.service"
    ).stdout
    newest = sorted(host.check_output("ls /var/lib/intact/backup/runs").split())[-1]
    run = json.loads(host.file("/var/lib/intact/backup/runs/" + newest).content_string)
    assert run["classes"] == ["databases"] and run["status"] == "ok" and run["findings"] == []
    assert set(run["done"]["databases"]) == {"attic", "vault"}
