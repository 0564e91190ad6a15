# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site without a panel: what its services say is in the inventory, and every configuration file that says it is in the export."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory, _registry, _run, _services, _verify, none
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.site_fixture import FILES, host


def export(root, system, change=None, **more):
    """The Outcome of an export; change: {member: bytes or None} done to the archive before it is stored, as a bad disk or a bug would."""
    driver = type("Changed", (), {name: getattr(none, name) for name in dir(none) if not name.startswith("__")})
    for name in ("inventory", "export", "verify", "ready", "keys", "detect"):
        setattr(driver, name, staticmethod(getattr(none, name)))

    def changed(system, found, mode, target, say):
        made = none.export(system, found, mode, target, say)
        path = os.path.join(target, none.ARTEFACT)
        out = io.BytesIO()
        with tarfile.open(path) as old, tarfile.open(fileobj=out, mode="w:gz") as new:
            for entry in old:
                data = old.extractfile(entry).read() if entry.isfile() else b""
                data = (change or {}).get(entry.name, data)
                if data is not None:
                    entry.size = len(data)
                    new.addfile(entry, io.BytesIO(data))
        if change:
            with open(path, "wb") as handle:
                handle.write(out.getvalue())
        return made

    driver.export = staticmethod(changed)
    return _run.export(system, driver, none.detect(system), _run.Settings(root=str(root), **more))


def blockers(outcome):
    return sorted((f.id, f.subject) for f in outcome.findings if f.severity == "blocker")


def test_what_the_services_say_is_the_inventory():
    system = host()
    found = none.detect(system)
    document = none.inventory(system, found)
    objects = document["objects"]
    assert (document["panel"], document["host"], document["version"]) == ("none", "web1", "Debian GNU/Linux 12 (bookworm)") and document["unlooked"] == []
    assert set(objects["domain"]) == {"example.com", "www.example.com"} and objects["domain"]["example.com"]["files"] == ["/etc/nginx/sites-enabled/example"]
    assert set(objects["customer"]) == {"root", "ann"} and objects["customer"]["ann"]["home"] == "/home/ann"
    assert {name.split(" (")[0] for name in objects["cron_job"]} == {"ann: 5 * * * * curl", "root: 7 3 * * * php"}
    assert objects["mail_alias"]["sales"]["to"] == ["ann"] and objects["setting"]["postfix relayhost"]["value"] == "[smtp.example.com]"
    assert objects["certificate"]["example.com"]["files"] == ["/etc/ssl/local/example.pem"]
    assert "PLANTED" not in json.dumps(document) and "/etc/ssl/private/example.key" in none.keys(system, found)


def test_an_export_holds_what_the_inventory_names_and_is_proven(tmp_path):
    outcome = export(tmp_path, host())
    assert blockers(outcome) == [] and outcome.verdict == "proven" and outcome.document["host_id"] == "aa11"
    with _verify.Opened(outcome.path) as opened:
        members = opened.contents(none.ARTEFACT).members
    assert {"etc/passwd", "etc/shadow", "etc/nginx/sites-enabled/example", "etc/ssl/private/example.key", "var/spool/cron/crontabs/ann"} <= set(members)


@pytest.mark.parametrize(
    "change, found",
    [
        ({"etc/nginx/sites-enabled/example": None}, ("panel.reference.broken", "none domain example.com")),
        ({"etc/nginx/sites-enabled/example": b""}, ("panel.reference.broken", "none domain www.example.com")),
        ({"etc/nginx/sites-enabled/example": b"server { server_name other.example; }"}, ("panel.object.missing", "none domain example.com")),
        ({"etc/ssl/private/example.key": None}, ("panel.key.missing", "none domain example.com")),
        ({"etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n"}, ("panel.object.missing", "none customer ann")),
        ({"etc/passwd": FILES["/etc/passwd"].replace("1000:1000", "1001:1000").encode()}, ("panel.object.missing", "none customer ann")),
        ({"etc/aliases": b"postmaster: root\n"}, ("panel.object.missing", "none mail_alias sales")),
        ({"etc/postfix/main.cf": b"alias_maps = hash:/etc/aliases\n"}, ("panel.object.missing", "none setting postfix relayhost")),
        ({"var/spool/cron/crontabs/ann": b"5 * * * * curl https://x.example/\n"}, ("panel.object.missing", "none cron_job ann: 5 * * * * curl (c313add3)")),
    ],
)
def test_what_the_archive_lacks_is_named(tmp_path, change, found):
    outcome = export(tmp_path, host(), change)
    told = blockers(outcome)
    assert outcome.verdict == "failed" and outcome.path.endswith(".failed")
    assert found in told


ALIAS, SETTING = {"to": ["ann", "bob"], "files": ["/etc/aliases"]}, {"value": "a b", "files": ["/etc/postfix/main.cf"]}


@pytest.mark.parametrize(
    ("kind", "name", "item", "text", "says", "otherwise"),
    [
        ("mail_alias", "sales", ALIAS, "sales: ann, bob\n", True, False),
        ("mail_alias", "sales", ALIAS, '# sales: eve\n"Sales" :bob,\n# folded\n\t"ann"\nother: x\n', True, False),
        ("mail_alias", "sales", ALIAS, "sales: ann\n", True, True),
        ("mail_alias", "sales", ALIAS, "sales: eve\nsales: ann,bob\n", True, False),
        ("mail_alias", "sales", ALIAS, "'sales: ann, bob\nsales2: ann, bob\n", False, False),
        ("mail_alias", "sales@a.example", dict(ALIAS, files=["/etc/postfix/virtual"]), "sales@a.example\tbob, ann\n", True, False),
        ("mail_alias", "transport a.example", dict(ALIAS, to=["smtp:[b.example]:25"]), "a.example smtp:[b.example]:25", True, False),
        ("mail_alias", "domain a.example", {"to": ["postfix"], "files": ["/etc/postfix/main.cf"]}, "relay_domains = a.example b.example\n", True, False),
        ("mail_alias", "pipe", dict(ALIAS, to=["|/bin/x --y"]), 'pipe: "|/bin/x --y"\n', True, False),
        ("setting", "postfix mynetworks", SETTING, "mynetworks = a,\n  b\n", True, False),
        ("setting", "postfix mynetworks", SETTING, "mynetworks = c\nmynetworks = a, b\n", True, False),
        ("setting", "postfix mynetworks", SETTING, "mynetworks = a\n", True, True),
        ("setting", "postfix mynetworks", dict(SETTING, value=_inventory.secret("a b")), "mynetworks = a b\n", True, False),
        ("setting", "postfix mynetworks", SETTING, "other = a\n", False, False),
    ],
)
def test_an_alias_or_a_setting_is_told_by_its_line(kind, name, item, text, says, otherwise):
    assert (none._says(kind, name, item, text), none._otherwise(kind, name, item, text)) == (says, otherwise)


def test_a_stopped_cluster_is_somebodys_choice_and_a_silent_server_is_none():
    server = {"kind": "server", "error": "ERROR 2002"}
    seen = {"databases": {"items": {"mariadb": server, "postgresql": {"kind": "server", "error": "the cluster 13/main is down"}, "sqlite:/x": server}}}
    seen["mail"] = {"items": {"table hash:/x": {"kind": "table", "error": "No such file or directory"}, "alias a": {"kind": "map entry"}}}
    assert _services.silent(seen) == [("databases of mariadb", "ERROR 2002"), ("table hash:/x", "No such file or directory")]
    assert _services.silent({"databases": None}) == []


def test_a_certificate_that_is_not_the_one_that_is_shown(tmp_path):
    system = host()
    wanted = none.inventory(system, none.detect(system))
    wanted["objects"]["certificate"]["example.com"]["certificate"] = hashlib.sha256(b"another").hexdigest()
    outcome = export(tmp_path, host())
    with _verify.Opened(outcome.path) as opened:
        found = none.verify(opened, wanted, "settings")
    assert [(f.id, f.subject) for f in found if f.severity == "blocker"] == [("panel.object.missing", "none certificate example.com")]


def test_an_alias_that_was_removed_meanwhile_does_not_break_the_export(tmp_path):
    outcome = export(tmp_path, host(), {"etc/aliases": b"postmaster: root\n"})
    assert outcome.verdict == "failed" and outcome.document["later"]  # it is in both inventories
    gone = host()
    answers = iter(["postmaster\troot\nsales\tann\n", "postmaster\troot\n"])
    gone.commands[("postmap",)] = lambda argv, stdin: next(answers)
    outcome = export(tmp_path, gone, {"etc/aliases": b"postmaster: root\n"})
    assert outcome.verdict == "proven" and outcome.document["later"]


def test_what_cannot_be_asked_makes_it_unproven(tmp_path):
    outcome = export(tmp_path, host({"/etc/bind/named.conf": ""}))
    assert outcome.verdict == "unproven" and blockers(outcome) == [("panel.unproven", "none export zones of bind")]


def test_only_settings(tmp_path):
    outcome = export(tmp_path, host(), mode="full")
    assert blockers(outcome) == [("panel.export.failed", "none export")] and sorted(os.listdir(tmp_path / "none")) == [".lock", ".progress.json"]


def test_a_disk_is_read_as_far_as_files_tell(tmp_path):
    for path, text in FILES.items():
        place = tmp_path / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
    view = Rooted(os.fsencode(str(tmp_path / "root")))
    found = none.detect(view)
    document = none.inventory(view, found)
    assert set(document["objects"]) >= {"customer", "cron_job"}
    assert {e["what"] for e in document["unlooked"]} == {"sites of nginx", "Postfix's settings and tables", "section tls"}
    (tmp_path / "out").mkdir()
    made = none.rescue(view, found, None, str(tmp_path / "out"))
    with tarfile.open(tmp_path / "out" / none.ARTEFACT) as archive:
        assert archive.extractfile("etc/aliases").read() == FILES["/etc/aliases"].encode()
    assert made["files"][0]["name"] == none.ARTEFACT


def test_none_is_chosen_when_there_is_no_panel_and_told_as_none():
    assert _registry.detected(host()) == [] and [driver.NAME for driver, _found in _registry.chosen(host())] == ["none"]
    with pytest.raises(IntactError, match="no driver vesta"):
        _registry.chosen(host(), ["vesta"])
    assert _export.ROOT not in host().files
