# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet's report: the worst first, every flight's own report a click away, nothing good said of what nobody saw."""

from __future__ import annotations

import json
import os
import re

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _fleet as journal
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._report import _fleet
from ansible_collections.intact.hosting.plugins.modules import fleet_report, flight_report
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture as fixture

HOSTS = {"web1": "intact", "web2": "loss", "web3": None, "web4": "refused", "web5": "untouched", "<b>web6": "failed"}


@pytest.fixture
def fleet(tmp_path, call_module):
    """(directory of a fleet, directory of flights): one host of each kind."""
    flights, place = tmp_path / "flights", tmp_path / "fleets" / "fleet-20261122t1134z"
    place.mkdir(parents=True)
    ids = {"web1": "web1-upgrade-20261122t1134z", "web2": "web2-upgrade-20261122t1134z"}
    fixture.write(str(flights / ids["web1"]))
    fixture.write(str(flights / ids["web2"]), lost=fixture.LOSS)
    for ident in ids.values():
        call_module(flight_report.main, directory=str(flights / ident))
    journal.append(str(place), "fleet.open", hosts=list(HOSTS), waves=["1", "100%"])
    journal.append(str(place), "fleet.run")
    journal.append(str(place), "host.left", host="web4", state="refused", reason="web4: the backup is not proven")
    journal.append(str(place), "wave.begin", wave=1, hosts=["web1", "web2", "web3", "<b>web6"])
    for host, state in HOSTS.items():
        if state in ("refused", "untouched"):
            continue
        journal.append(str(place), "host.begin", host=host, wave=1)
        if state:
            journal.append(str(place), "host.end", host=host, wave=1, state=state, flight=ids.get(host, ""), reason="" if state == "intact" else "why")
    journal.append(str(place), "host.end", host="web3", wave=1, state="lost", reason="no answer")
    journal.append(str(place), "fleet.stop", wave=2, reason="web3 is lost")
    return str(place), str(flights)


def test_it_opens_on_the_worst_and_leads_to_each_flight(fleet):
    place, flights = fleet
    model = _fleet.build(_fleet.load(place, flights), "fleet-20261122t1134z", fixture.at(900))
    assert [row["state"] for row in model["hosts"]] == ["lost", "loss", "failed", "refused", "untouched", "intact"]
    assert (
        model["word"] == "LOST" and model["sentence"].startswith("1 of 6 hosts are done; lost: web3; loss: web2; failed: ") and model["stop"] == "web3 is lost"
    )
    page = _fleet.page(model)
    first = page[page.index('id="verdict"') :]
    assert first.index("The worst: ") < first.index("Waves") and "<b>web6" not in page and "&lt;b&gt;web6" in page
    links = re.findall(r'href="([^"]+)"', page)
    assert links and all(os.path.exists(os.path.join(place, link)) for link in links)
    text = _fleet.text(model)
    assert text.index("web3") < text.index("web2") < text.rindex("web1") and "Stopped: web3 is lost" in text
    assert "http" not in page.replace("http-equiv", "").replace("https://", "").replace("http://www.w3.org", "")


def test_what_a_flight_says_stands_in_its_row(fleet):
    model = _fleet.build(_fleet.load(*fleet), "f", fixture.at(900))
    rows = {row["host"]: row for row in model["hosts"]}
    assert rows["web1"]["seconds"] and rows["web1"]["outage"]["longest"] == 158.1 and rows["web1"]["sentence"].startswith("web1 runs Debian 13")
    assert rows["web2"]["lost"] and rows["web3"]["seconds"] is None and rows["web3"]["outage"] is None
    assert rows["web4"]["reason"].endswith("not proven") and "nothing of it was changed" in rows["web5"]["reason"]
    assert model["waves"][0]["hosts"] == ["web1", "web2", "web3", "<b>web6"] and model["waves"][0]["seconds"] is not None


def test_all_good_is_intact(tmp_path):
    journal.append(str(tmp_path), "fleet.open", hosts=["a", "b"], waves=["100%"])
    journal.append(str(tmp_path), "host.left", host="b", state="done")
    journal.append(str(tmp_path), "host.begin", host="a", wave=1)
    journal.append(str(tmp_path), "host.end", host="a", wave=1, state="intact")
    journal.append(str(tmp_path), "fleet.close", verdict="intact")
    model = _fleet.build(_fleet.load(str(tmp_path), str(tmp_path)), "f", fixture.at(1))
    assert model["word"] == "INTACT" and "The worst" not in _fleet.page(model)


def test_the_module_draws_once_and_says_the_worst(fleet, call_module):
    place, flights = fleet
    assert call_module(fleet_report.main, check=True, directory=place, flights=flights)["changed"] and not os.path.exists(place + "/fleet.html")
    result = call_module(fleet_report.main, directory=place, flights=flights)
    assert (result["changed"], result["verdict"], result["worst"]) == (True, "LOST", "web3")
    assert os.stat(result["html"]).st_mode & 0o777 == 0o600
    with open(result["json"], encoding="utf-8") as handle:
        assert json.load(handle)["fleet"] == "fleet-20261122t1134z"
    assert not call_module(fleet_report.main, directory=place, flights=flights)["changed"]


def test_a_directory_without_a_fleet_is_a_sentence(tmp_path, call_module):
    assert "no journal of a fleet" in call_module(fleet_report.main, directory=str(tmp_path), flights=str(tmp_path))["msg"]
    with pytest.raises(IntactError):
        _fleet.load(str(tmp_path), str(tmp_path))
