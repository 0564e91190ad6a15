# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenario's steps kept, and the worlds that the stand-ins were installed with."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
import unseen

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "tests"))

from stand_ins.plesk import world  # noqa: E402 (found by the line above)

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
SECRETS = FOLDER / "secrets"


class Said:
    """What one run of a playbook said. rc, text; of(host): each task's result there, in their order."""

    def __init__(self, document):
        self.rc, self.text, self.error = document["rc"], document["out"], document["err"]

    def of(self, host):
        lines = re.findall(r"(?m)^(?:ok|changed|fatal|failed): \[%s\.lab\.test\](?:: FAILED!)? => (\{.*\})$" % re.escape(host), self.text)
        return [json.loads(line) for line in lines]

    def module(self, host, key):
        """The last result there that has this key."""
        found = [result for result in self.of(host) if key in result]
        assert found, "no result of %s has %s: %s" % (host, key, self.text[-3000:])
        return found[-1]

    def blockers(self, host):
        """What the gate stopped at: [finding]."""
        return self.module(host, "verdict")["verdict"]["findings"]


@pytest.fixture(scope="session")
def result():
    """What a step kept, by its name."""
    return lambda name: json.loads((FOLDER / "results" / (name + ".json")).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def said(result):
    """What a run of a playbook said, by its name."""
    return lambda name: Said(result(name))


@pytest.fixture(scope="session")
def held():
    """{what it is: text} of all that nobody may see, of all hosts; of texts with lines each line, without what every key begins with."""
    planted = json.loads((SECRETS / "planted.json").read_text(encoding="utf-8"))
    lines = {name: [line.strip() for line in text.splitlines() if len(line.strip()) > 5 and not line.startswith("-----")] for name, text in planted.items()}
    assert len(planted) > 100 and all(lines.values())
    out = {"%s %d" % (name, number): line for name, several in lines.items() for number, line in enumerate(several)}
    return dict(out, passphrase=(SECRETS / "passphrase").read_text(encoding="utf-8").strip())


@pytest.fixture(scope="session")
def on_the_controller(held):
    """[(path, what it is)] of secrets in what the controller was told and kept."""
    return unseen.on_controller(held, FOLDER, SECRETS)


@pytest.fixture
def sought(name, held):
    """[(where, path, what it is)] of secrets on the host."""
    return lambda: unseen.seek("intact-m-pstand-" + name, held)


@pytest.fixture
def decoys(name):
    """What a look finds of texts that were laid for it."""
    return lambda: unseen.decoys("intact-m-pstand-" + name, FOLDER, SECRETS)


@pytest.fixture(scope="session")
def worlds():
    """{host: the World of its stand-in}."""
    return {"obsidian12": world.world(3, 18), "old12": world.world(4, 8), "new13": world.world(5, 8)}


@pytest.fixture
def name(host):
    """The short name of the host that a test runs for; nothing is asked of it for that, as one of them is dead at the end."""
    return host.backend.get_hostname().split(".")[0]


@pytest.fixture
def on(host, name):
    """on(NAME...): the host, when it is one of these; the test is about no other."""

    def one(*names):
        if name not in names:
            pytest.skip("it is about %s" % " and ".join(names))
        return host

    return one
