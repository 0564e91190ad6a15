# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web1 is taken over, and its own credentials are used to destroy both of its copies: the append-only one survives and is proven by a drill.

The last of this scenario's tests: afterwards attic has burned down.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import faults_lab as lab
import pytest

CLASSES = ["databases", "files", "lists", "mail", "system"]
RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
# with the REST server's user and password, as they lie on web1; each answer is a line
CURL = """
. {0}/vault.environment
ask() {{ curl -s -o /dev/null -w "%{{http_code}}\\n" --cacert {0}/vault.ca -u "$RESTIC_REST_USERNAME:$RESTIC_REST_PASSWORD" "$@"; }}
""".format(lab.SECRETS)


def over_rest(requests):
    """{(method, path): the server's answer} to requests of web1; POST tries to write over what is there."""
    lines = ["ask -X %s %s 'https://vault:8443/web1/%s'" % (method, "--data-binary rubbish" if method == "POST" else "", path) for method, path in requests]
    return dict(zip(requests, lab.WEB1.sh(CURL + "\n".join(lines)).split(), strict=True))


def vault_files():
    """{path in the repository: size}."""
    said = lab.VAULT.sh("cd /srv/backup/rest/web1; find . -type f -printf '%P %s\\n'")
    return dict(line.rsplit(" ", 1) for line in said.splitlines())


@pytest.fixture(scope="module")
def attack():
    """{what was tried: what came of it}; first what restic itself offers, then the protocols below it."""
    out = {"before": vault_files()}
    before = out["before"]
    for repository in ("vault", "attic"):
        shots = [shot["id"] for shot in lab.snapshots(repository, "intact")]
        assert len(shots) > 10
        out["forget", repository] = lab.WEB1.call(*lab.restic(repository, "forget", "--prune", *shots))
    victims = [next(path for path in sorted(before) if path.startswith(kind + "/")) for kind in ("snapshots", "keys", "index", "data")]
    # rclone lays data out in folders that the protocol does not know
    names = ["%s/%s" % (path.partition("/")[0], path.rpartition("/")[2]) for path in victims] + ["config"]
    out["raw"] = over_rest([(method, name) for name in names for method in ("DELETE", "POST")] + [("DELETE", "")])
    batch = "".join("-rm /store/web1/%s\n" % name for name in ("keys/*", "index/*", "snapshots/*", "data/*/*", "config"))
    sftp = ["sftp", "-q", "-b", "-", "-o", "UserKnownHostsFile=%s/attic.known_hosts" % lab.SECRETS, "-i", lab.SECRETS + "/attic.identity", "backup-web1@attic"]
    out["rm", "attic"] = lab.WEB1.call(*sftp, stdin=batch)
    out["left"] = lab.ATTIC.sh("find /srv/backup/web1/store -type f").split()
    return out


def test_the_append_only_server_forbids_all_of_it(attack):
    assert attack["forget", "vault"].returncode != 0 or "unable to remove" in attack["forget", "vault"].stderr, attack["forget", "vault"]
    assert len(attack["raw"]) == 11 and set(attack["raw"].values()) <= {"403", "405"}, attack["raw"]
    after = vault_files()
    lost = {path for path, size in attack["before"].items() if after.get(path) != size and not path.startswith("locks/")}
    assert lost == set()


def test_the_other_copy_is_really_gone(attack):
    assert attack["forget", "attic"].returncode == 0, attack["forget", "attic"]
    assert attack["left"] == [], attack["left"][:5]


def test_the_check_tells_which_one(attack):
    checked = lab.module(lab.WEB1, "intact.hosting.backup_check", {"read_data": False})
    lab.told(checked["findings"], "backup.repository.missing", "attic")
    assert {finding["subject"] for finding in checked["findings"]} == {"attic"}, checked["findings"]
    lab.told(lab.state()[1], "backup.repository.missing", "attic")


def test_the_next_backup_tells_which_one(attack):
    run = lab.backup("lists")
    lab.told(run.findings, "backup.repository.missing", "attic lists")
    assert run.code == 2 and lab.result("attic", "lists") == "failed" and lab.result("vault", "lists") == "ok"


def test_a_drill_of_both_is_no_proof(attack):
    drilled = lab.drill(["attic", "vault"], ["lists"])
    lab.told(drilled["findings"], "backup.repository.missing", "attic")
    assert drilled["result"] == "failed"
    results = {name: entry["classes"]["lists"]["result"] for name, entry in drilled["proof"]["repositories"].items()}
    assert results == {"attic": "failed", "vault": "proven"}


def test_a_drill_of_the_append_only_copy_is_go(attack):
    """Every class of the host that is lost, through the playbook, as on the day after."""
    entry = {"name": "vault", "url": "rest:https://vault:8443/web1"}
    for key, name in (("password", "repository.password"), ("environment", "rest.env"), ("ca", "vault.crt")):
        entry[key] = (RESULTS / "secrets" / name).read_text()
    settings = RESULTS / "vault-alone.json"
    settings.write_text(json.dumps({"restore_drill_repositories": [entry]}))
    settings.chmod(0o600)
    before = set((RESULTS / "proofs").glob("*-proof.json"))
    argv = ["ansible-playbook", "--inventory", lab.SCENARIO / "inventory", "--extra-vars", "@%s" % settings, lab.ROOT / "playbooks/drill-restore.yml"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "web1.lab.test restore_drill: GO" in done.stdout
    (path,) = set((RESULTS / "proofs").glob("*-proof.json")) - before
    proof = json.loads(path.read_text())
    assert proof["result"] == "proven" and list(proof["repositories"]) == ["vault"]
    classes = proof["repositories"]["vault"]["classes"]
    assert {name: entry["result"] for name, entry in classes.items()} == dict.fromkeys(CLASSES, "proven")
    assert all(any(entry["counts"].values()) for entry in classes.values())
