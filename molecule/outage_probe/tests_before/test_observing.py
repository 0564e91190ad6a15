# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observer runs as nobody special, and nobody else reads its credentials."""

from __future__ import annotations

import json
import time

import pytest

FLIGHT = "target-upgrade-20261122t1134z"


@pytest.fixture(autouse=True)
def only_the_observer(host):
    if not host.check_output("hostname").startswith("observer"):
        pytest.skip("the observer's tests")


def test_the_service_is_there_after_a_reboot_too(host):
    service = host.service("intact-outage-probe@" + FLIGHT)
    assert service.is_running and service.is_enabled, host.run("journalctl -u 'intact-outage-probe@*' -n 30").stdout
    assert host.check_output("ps -o user= -p $(systemctl show -p MainPID --value intact-outage-probe@%s)" % FLIGHT).startswith("intact-")


def test_credentials_and_record_are_the_services_own(host):
    assert (host.file("/etc/intact/outage-probe/%s.credentials.json" % FLIGHT).mode, host.file("/var/lib/intact-outage-probe").mode) == (0o600, 0o700)


def test_it_records_what_changes_and_that_it_lives(host):
    time.sleep(6)
    lines = [json.loads(line) for line in host.check_output("cat /var/lib/intact-outage-probe/%s.jsonl" % FLIGHT).splitlines()]
    kinds = {(line["r"], line.get("target")) for line in lines}
    assert {("up", "shop"), ("up", "ssh"), ("down", "nobody"), ("alive", None)} <= kinds
    assert not {("down", "shop"), ("down", "ssh")} & kinds
