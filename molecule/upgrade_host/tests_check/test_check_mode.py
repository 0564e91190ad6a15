# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""--check --diff on an untouched host: it tells what would happen, and nothing has happened."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
testinfra_hosts = ["web1.lab.test"]


@pytest.fixture(scope="module")
def check():
    return json.loads((RESULTS / "check.json").read_text())


@pytest.fixture(scope="module")
def witness():
    return {name: json.loads((RESULTS / f"witness-{name}.json").read_text()) for name in ("before", "checked")}


def test_it_ends_well_and_changes_nothing(check):
    assert check["rc"] == 0, check["out"][-3000:]
    recap = re.search(r"web1\.lab\.test\s*:.*", check["out"]).group(0)
    assert "failed=0" in recap and "unreachable=0" in recap


def test_the_host_is_as_it_was(witness):
    assert witness["before"] == witness["checked"]


def test_no_flight_is_open(host):
    current = host.file("/var/lib/intact/flights/current")
    assert not current.exists or not current.content_string.strip()
    assert not host.file("/etc/systemd/system/intact-upgrade.service").exists


def test_the_two_looks_are_equal(host):
    """The project's own eyes agree with the witness, section by section (compared here, without its comparison)."""
    text = (
        "import gzip, json; looks = '/var/lib/intact/looks/%s.json.gz'; "
        "print(json.dumps([json.loads(gzip.open(looks % n).read())['sections'] for n in ('untouched', 'checked')]))"
    )
    untouched, checked = json.loads(host.check_output("python3 -c %s", text))
    for name, section in untouched.items():
        if name != "resources":  # load and free memory differ from minute to minute
            assert section.get("data", {}).get("items") == checked[name].get("data", {}).get("items"), name


@pytest.mark.parametrize("words", ["php8.4-fpm", "php8.2-fpm", "dovecot-core", "mariadb-server", "/etc/crontab"])
def test_it_names_packages_and_configuration_questions(check, words):
    assert words in check["out"]


def test_it_tells_bytes(check):
    assert re.search(r"download[^\n]*\d", check["out"], re.I)
