# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Driver restore: the way back is the newest proven backup. Nothing is made before take-off; what going back would cost is told."""

from __future__ import annotations

import contextlib
import datetime
import os

from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import check_name, finding

NAME = "restore"
FILLS = False
PROOFS = "/var/lib/intact/proofs"
COMMAND = "ansible-playbook playbooks/restore-host.yml -e intact_hosts=%s --check --diff"


def newest(proofs):
    """The proof of a backup whose data is newest, or None. Pure."""
    ours = [proof for proof in proofs or [] if proof.get("kind") == "backup" and proof.get("taken")]
    return max(ours, key=lambda proof: parse_time(proof["taken"])) if ours else None


def _proofs(place, settings):
    """Proofs that were given, and those that lie on the host."""
    out, folder = list(settings.get("proofs") or []), place.path(PROOFS)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        try:
            out.append(read_document(os.path.join(folder, name)))
        except (OSError, ValueError):
            continue  # the pre-flight's check of proofs tells of it
    return [proof for proof in out if isinstance(proof, dict)]


def decide(place, flight, settings):
    """The facts that are remembered: which proof it rests on."""
    proof = newest(_proofs(place, settings)) or {}
    repositories = proof.get("repositories")
    return {
        "driver": NAME,
        "name": check_name(flight),
        "taken": str(proof.get("taken") or ""),
        "digest": str(proof.get("digest") or ""),
        "repositories": sorted(repositories) if isinstance(repositories, dict) else [],
    }


def check(place, settings, now=None):
    """Findings before take-off: which proven snapshot, how old, what would be lost."""
    proof = newest(_proofs(place, settings))
    if settings.get("automatic"):
        said = "driver: restore needs a person, who reads restore-host.yml's plan; by itself it would stop the services, save what is new and go no further"
        return [
            finding("restore.automatic", "blocker", "intact_rollback", "a backup is not restored by itself", said, "take automatic out, or choose lvm or btrfs")
        ]
    if proof is None:
        remedy = "drill the backup (drill-restore.yml), or choose a driver that needs none"
        return [finding("unproven", "blocker", "backup", "the way back is a backup that nobody has proven", "no proof was given", remedy)]
    age = (now or datetime.datetime.now(datetime.timezone.utc)) - parse_time(proof["taken"])
    hours = max(0, int(age.total_seconds() // 3600))
    said = "its data is %d hours old (%s): what is written after it is lost but for what is saved before going back" % (hours, proof["taken"])
    remedy = "make a backup right before take-off, or choose lvm, btrfs or hook, which lose nothing that was there"
    return [
        finding(
            "restore.loses", "warning", "backup", "going back would lose what is newer than the backup", said, remedy, taken=str(proof["taken"]), hours=hours
        )
    ]


def take(place, facts):
    """Nothing is made."""


def state(place, facts):
    """{whole, why, back, percent, room}: the backup is judged by its drill, not here."""
    return {"whole": True, "why": "", "back": False, "percent": 0.0, "room": None}


def drop(place, facts):
    """Nothing was made."""
    return ""


@contextlib.contextmanager
def opened(place, facts):
    """None: a backup is not written to."""
    yield None


def prepare(place, facts, tree):
    """Nothing."""


def boot_back(place, facts):
    """A restore is led by the controller (roles/host_restore), never by the host alone."""
    if not facts["taken"]:
        raise IntactError("the way back that was decided is a restore, and no proven backup is known: %s" % (COMMAND % "HOST"))
    where = ", ".join(facts["repositories"]) or "the repositories of the drill"
    raise IntactError("the way back that was decided is a restore of the backup of %s from %s: %s" % (facts["taken"], where, COMMAND % "HOST"))


def settle(place, facts, patience=0):
    """Nothing: host_restore proves what it brought back."""
    return [], ""
