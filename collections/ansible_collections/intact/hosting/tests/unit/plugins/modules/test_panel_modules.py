# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""panel_info, panel_export and panel_verify as a playbook calls them, with the example's panel."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _registry
from ansible_collections.intact.hosting.plugins.modules import panel_export, panel_info, panel_verify
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import acme_fixture as acme
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture as made


@pytest.fixture(name="site")
def fixture_site(tmp_path, monkeypatch):
    """A host with Acme, whose driver is the only one besides none."""
    host = acme.host(tmp_path / "host")
    monkeypatch.setattr(_registry, "DRIVERS", (acme.driver(), _registry.driver("none")))
    for module in (panel_export, panel_info, panel_verify):
        monkeypatch.setattr(module, "System", lambda: host)
    host.exports = str(tmp_path / "panel")
    return host


def tree(directory):
    return sorted(os.path.join(top, name) for top, folders, files in os.walk(directory) for name in folders + files)


def test_check_mode_foretells_the_export_and_writes_nothing(call_module, site):
    before = tree(site.place("/"))
    told = call_module(panel_export.main, check=True, diff=True, dir=site.exports)
    assert told["changed"] and told["exports"] == [{"panel": "acme", "made": False, "path": "", "verdict": "would-run"}]
    assert told["diff"] == {"before": "", "after": "acme: a new settings export\n"}
    assert tree(site.place("/")) == before and not os.path.exists(site.exports)


def test_an_export_is_made_once_and_then_left_alone(call_module, site):
    told = call_module(panel_export.main, diff=True, dir=site.exports, max_age_hours=20)
    (export,) = told["exports"]
    assert told["changed"] and export["verdict"] == "proven" and export["objects"] == {"domain": 2, "mailbox": 3} and told["findings"] == []
    assert told["diff"]["after"] == "acme: %s, proven\n" % export["path"]
    again = call_module(panel_export.main, diff=True, dir=site.exports, max_age_hours=20)
    assert not again["changed"] and again["exports"][0]["path"] == export["path"] and again["diff"]["before"] == again["diff"]["after"]
    assert not call_module(panel_export.main, check=True, dir=site.exports, max_age_hours=20)["changed"]
    assert call_module(panel_export.main, check=True, dir=site.exports)["changed"]


def test_retention_is_foretold_and_then_done(call_module, site):
    paths = [call_module(panel_export.main, dir=site.exports)["exports"][0]["path"] for _run in range(2)]
    told = call_module(panel_export.main, check=True, diff=True, dir=site.exports, keep=1)
    assert told["removed"] == paths[::-1] and all(os.path.exists(path) for path in paths) and told["diff"]["after"] == "acme: a new settings export\n"
    told = call_module(panel_export.main, dir=site.exports, keep=2)
    assert told["removed"] == paths[:1] and [os.path.exists(path) for path in paths] == [False, True]
    told = call_module(panel_export.main, dir=site.exports, keep=1, max_age_hours=20)
    assert told["changed"] and told["removed"] == paths[1:] and not told["exports"][0]["made"]
    assert "at least one" in call_module(panel_export.main, dir=site.exports, keep=0)["msg"]


def test_a_failed_export_removes_nothing_and_the_module_tells_it(call_module, site):
    good = call_module(panel_export.main, dir=site.exports)["exports"][0]["path"]
    site.fault = "missing"
    told = call_module(panel_export.main, dir=site.exports, keep=1)
    assert told["exports"][0]["verdict"] == "failed" and told["removed"] == [] and os.path.exists(good) and not told.get("failed")
    assert {f["id"] for f in told["findings"]} == {"panel.object.missing"} and all(f["details"]["host"] == "web1" for f in told["findings"])


def test_a_busy_panel_and_a_running_export_are_findings(call_module, site):
    os.makedirs(site.place("/run/acme"))
    open(site.place("/run/acme/backup.lock"), "w").close()
    for check in (True, False):
        told = call_module(panel_export.main, check=check, dir=site.exports)
        assert [f["id"] for f in told["findings"]] == ["panel.busy"] and told["changed"] == check and told["findings"][0]["details"]["host"] == "web1"
    os.unlink(site.place("/run/acme/backup.lock"))
    with _export.begin("acme", "settings", site.exports):
        told = call_module(panel_export.main, dir=site.exports)
    assert [f["id"] for f in told["findings"]] == ["panel.busy"] and not told["changed"]


def test_the_panels_and_their_exports_are_told(call_module, site):
    (panel,) = call_module(panel_info.main, dir=site.exports)["panels"]
    assert (panel["name"], panel["version"], panel["met"], panel["keys"]) == ("acme", "4.2", "stand-in", ["/usr/local/acme/secret.key"])
    assert panel["objects"] == {"domain": 2, "mailbox": 3} and panel["exports"] == [] and panel["daily"] == [] and "inventory" not in panel
    told = call_module(panel_info.main, dir=site.exports, max_age_hours=24, inventory="none")
    assert [f["id"] for f in told["findings"]] == ["panel.export.stale"] and "objects" not in told["panels"][0]
    call_module(panel_export.main, dir=site.exports)
    told = call_module(panel_info.main, dir=site.exports, max_age_hours=24, inventory="full")
    assert told["findings"] == [] and told["panels"][0]["exports"][0]["verdict"] == "proven" and not told["changed"]
    assert told["panels"][0]["inventory"]["objects"]["mailbox"]["ann@a.example"] == {"quota": "100", "password": "set"}
    assert not any(planted in json.dumps(told) for planted in acme.PLANTED)


def test_a_database_that_cannot_be_read_is_a_finding_of_the_look(call_module, site):
    os.unlink(site.place("/usr/local/acme/store.sqlite"))
    told = call_module(panel_info.main, dir=site.exports)
    assert [f["id"] for f in told["findings"]] == ["panel.unproven"] and "store.sqlite" in told["findings"][0]["evidence"]


def test_a_panel_that_is_not_there_is_refused_and_none_can_be_named(call_module, site):
    assert "no driver vesta; there are acme, none" in call_module(panel_info.main, dir=site.exports, panels=["vesta"])["msg"]
    os.unlink(site.place("/usr/local/acme/version"))
    assert "Acme Panel is not on this host" in call_module(panel_export.main, dir=site.exports, panels=["acme"])["msg"]
    assert [panel["name"] for panel in call_module(panel_info.main, dir=site.exports, inventory="none")["panels"]] == ["none"]


def test_an_export_is_verified_again_wherever_it_lies(call_module, site, tmp_path):
    path = call_module(panel_export.main, dir=site.exports)["exports"][0]["path"]
    copy = str(tmp_path / "elsewhere")
    shutil.copytree(path, copy)
    told = call_module(panel_verify.main, path=copy)
    assert (told["verdict"], told["changed"], told["findings"]) == ("proven", False, []) and told["export"]["host"] == "web1"
    with open(os.path.join(copy, "acme.tar.gz"), "r+b") as handle:
        handle.truncate(200)
    told = call_module(panel_verify.main, path=copy)
    assert told["verdict"] == "failed" and told["export"]["verdict"] == "proven" and told["findings"][0]["id"] == "panel.export.truncated"
    assert "this is no export" in call_module(panel_verify.main, path=str(tmp_path))["msg"]


@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed: exports are not encrypted here")
def test_a_passphrase_is_named_by_its_file_only(call_module, site, tmp_path):
    secret = made.passphrase(tmp_path, acme.PLANTED[3])
    told = call_module(panel_export.main, dir=site.exports, passphrase_file=secret)
    path = told["exports"][0]["path"]
    assert told["exports"][0]["verdict"] == "proven" and all(n.endswith((".gpg", ".json")) for n in os.listdir(path))
    assert call_module(panel_verify.main, path=path, passphrase_file=secret)["verdict"] == "proven"
    assert "is encrypted" in call_module(panel_verify.main, path=path)["msg"]
    os.chmod(secret, 0o640)
    told = call_module(panel_export.main, dir=site.exports, passphrase_file=secret)
    assert "can be read by others" in told["findings"][0]["evidence"] and acme.PLANTED[3] not in json.dumps(told)
