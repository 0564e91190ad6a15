# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both looks share: documents that the scenario kept, and the search for what nobody may see (../_shared/lib/unseen.py)."""

from __future__ import annotations

import json
import os
import pathlib

import unseen

OWN = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
SECRETS, RESULTS, LOG = OWN / "secrets", OWN / "results", OWN / "ansible.log"


def texts():
    """{what it is: text} of everything that nobody may see: planted, made by the panels, and the passphrase of the exports."""
    out = {"planted " + name: text for name, text in json.loads((SECRETS / "planted.json").read_text(encoding="utf-8")).items()}
    for path in sorted(SECRETS.glob("confidential-*.json")):
        held = json.loads(path.read_text(encoding="utf-8"))
        out.update(("%s of %s" % (name, path.stem.partition("-")[2]), text) for name, text in held.items())
    out["passphrase"] = (SECRETS / "passphrase").read_text(encoding="utf-8").strip()
    return out


def seek(short, held):
    """Where one of these texts is on a host: [(where, path, what it is)]."""
    return unseen.seek("intact-m-preal-" + short, held)


def decoys(short):
    """A look for texts that were laid for it, on the host and on the controller."""
    return unseen.decoys("intact-m-preal-" + short, OWN, SECRETS)


def on_controller(held):
    """[(path, what it is)] in what the controller was told: Ansible's whole log, and all that was kept. What holds secrets for the tests is left out."""
    return unseen.on_controller(held, OWN, SECRETS)


def result(name):
    """What the project told, and the scenario kept."""
    return json.loads((RESULTS / (name + ".json")).read_text(encoding="utf-8"))


def eyes(name):
    """What other eyes than the project's saw."""
    return json.loads((SECRETS / (name + ".eyes.json")).read_text(encoding="utf-8"))
