# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest that somebody changed in one repository, with all that belongs to it: digest and tags fit together."""

from __future__ import annotations

import faults_lab as lab

MANIFEST = "/var/lib/intact/backup/manifests/lists.json.gz"
CHANGE = """
import gzip, hashlib, json, sys
with open(sys.argv[1], "rb") as handle:
    manifest = json.loads(gzip.decompress(handle.read()))
manifest["counts"]["people"] += 1
data = gzip.compress(json.dumps(manifest).encode(), mtime=0)
with open(sys.argv[1], "wb") as handle:
    handle.write(data)
print(hashlib.sha256(data).hexdigest())
"""


def test_it_is_told_by_the_drill():
    """The host's own state knows which manifest it made; nothing else differs."""
    run = lab.good_backup("lists").document["run"]
    shot = next(shot for shot in lab.snapshots("attic", "run:" + run) if MANIFEST in shot["paths"])
    lab.WEB1.run("cp", "-a", MANIFEST, MANIFEST + ".right")
    try:
        digest = lab.WEB1.run("python3", "-c", CHANGE, MANIFEST).strip()
        tags = [part for tag in ["intact", "class:lists", "run:" + run, "manifest:" + digest] for part in ("--tag", tag)]
        lab.WEB1.run(*lab.restic("attic", "backup", "--host", lab.NAME, *tags, *shot["paths"]))
    finally:
        lab.WEB1.run("mv", MANIFEST + ".right", MANIFEST)
    drilled = lab.drill(["attic", "vault"], ["lists"])
    finding = lab.told(drilled["findings"], "drill.manifest.tampered", "attic lists manifest")[0]
    assert digest in finding["evidence"] and "the host's state says" in finding["evidence"]
    assert drilled["result"] == "failed"
    assert {repository["classes"]["lists"]["result"] for repository in drilled["proof"]["repositories"].values()} == {"failed"}
    # of vault it is told that the two differ: a drill without the host's state could not know which of them lies
    assert {finding["id"] for finding in drilled["findings"]} == {"drill.manifest.tampered"}, drilled["findings"]


def test_the_next_backup_is_good():
    """The newest run counts."""
    lab.good_backup("lists")
