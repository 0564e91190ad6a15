# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each real panel's export is proven, by an instance of its own too; the rows in it are the live ones; nothing secret is to be seen anywhere."""

from __future__ import annotations

import json
import re

import looking
import pytest
import unseen

PANELS = {"lists11": ["mailman"], "files12": ["modoboa", "postfixadmin"], "servers12": ["mailman", "postfixadmin"]}
ROOT = "/var/lib/intact/panel"


@pytest.fixture(scope="module")
def exports(host, short):
    """{panel: export.json} of the host's newest exports."""
    out = {}
    for panel in PANELS.get(short, []):
        newest = host.check_output("ls -d %s/%s/*-settings | sort | tail -1" % (ROOT, panel))
        out[panel] = dict(json.loads(host.check_output("cat %s/export.json" % newest)), path=newest)
    return out


def decrypted(host, export, name):
    """Where a file of an export lies in the clear, for the tests' own eyes."""
    place = "/run/eyes-%s-%s" % (export["panel"], name)
    command = "umask 077 && gpg --batch --yes --quiet --pinentry-mode loopback --passphrase-file /etc/intact/panel/passphrase --output %s --decrypt %s/%s.gpg"
    host.check_output(command % (place, export["path"], name))
    return place


def test_every_panel_that_is_there_has_a_proven_export_from_which_an_instance_was_made(exports, short):
    assert sorted(exports) == sorted(PANELS.get(short, []))
    for panel, told in exports.items():
        assert (told["verdict"], told["scratch"], told["met"], told["rc"]) == ("proven", True, "real", 0), panel
        assert not [f for f in told["findings"] if f["severity"] == "blocker"], panel


def test_the_first_exports_were_not_made_again(host, exports):
    for panel in exports:
        assert host.check_output("ls -d %s/%s/*-settings | wc -l" % (ROOT, panel)) == "1"


def test_objects_are_counted(exports, short):
    wanted = {
        "lists11": {"mailman": {"list": 4, "domain": 2, "customer": 52}},
        "files12": {
            "postfixadmin": {"domain": 4, "mailbox": 4, "mail_alias": 22, "domain_alias": 1, "customer": 2},
            "modoboa": {"domain": 4, "customer": 5, "mailbox": 4, "mail_alias": 8, "domain_alias": 1, "certificate": 1},
        },
        "servers12": {"mailman": {"list": 4, "domain": 2, "customer": 52}, "postfixadmin": {"domain": 4, "mailbox": 4}},
    }
    for panel, counts in wanted.get(short, {}).items():
        seen = exports[panel]["objects"]
        assert {kind: seen.get(kind) for kind in counts} == counts


@pytest.mark.parametrize(
    ("name", "panel", "copy"), [("lists11", "mailman", "mailman.db"), ("files12", "postfixadmin", "postfixadmin.db"), ("files12", "modoboa", "modoboa.db")]
)
def test_the_copy_is_equal_to_the_live_database_by_sql(host, short, exports, name, panel, copy):
    if short != name:
        pytest.skip("the panel is on %s" % name)
    place = decrypted(host, exports[panel], copy)
    live, held = (json.loads(host.check_output("python3 /opt/lab/eyes.py %s %s" % (panel, path))) for path in ("", place))
    assert live == held and held["sound"] == "ok"
    host.check_output("rm %s" % place)


def test_modoboas_known_corruption_is_told_by_name_and_is_in_the_csv(host, short, exports):
    if short != "files12":
        pytest.skip("Modoboa is on files12")
    told = {f["subject"]: f for f in exports["modoboa"]["findings"]}
    assert sorted(told) == [
        "modoboa customer bob@lists.test",
        "modoboa customer chef@catch.test",
        "modoboa domain relay.test",
        "modoboa mail_alias @catch.test",
    ]
    assert {f["severity"] for f in told.values()} == {"warning"} and {f["id"] for f in told.values()} == {"panel.object.changed"}
    place = decrypted(host, exports["modoboa"], "identities.csv")
    assert "alias;'@catch.test;True;chef@catch.test" in host.check_output("cat %s" % place)
    place = decrypted(host, exports["modoboa"], "modoboa.db")
    assert host.check_output("sqlite3 %s \"SELECT address FROM admin_alias WHERE address LIKE '%%@catch.test' AND NOT internal\"" % place) == "@catch.test"
    host.check_output("rm /run/eyes-*")


def test_rest_was_asked_where_mailman_runs(exports):
    for panel, told in exports.items():
        names = [entry["name"] for entry in told["files"]]
        assert panel != "mailman" or "rest.json" in names


def test_everything_is_encrypted_and_only_roots(host, exports):
    if not exports:
        pytest.skip("no exports here")
    assert host.check_output("find %s ! -user root -o -perm /077 | head" % ROOT) == ""
    assert host.check_output("find %s -type f ! -name '*.gpg' ! -name export.json ! -name .lock ! -name .progress.json" % ROOT) == ""


def test_nothing_is_left_behind(host, exports):
    if not exports:
        pytest.skip("no exports here")
    assert host.check_output("find /var/tmp /tmp /dev/shm -name 'intact-*' | head") == ""
    assert host.check_output("find %s -name '.*' -type d | head" % ROOT) == ""
    assert not re.search(r"redis-server .*:6379.*\n.*redis-server .*:6379", host.check_output("ps ax -o args"))


def test_nothing_secret_is_seen_in_arguments_journals_logs_or_files_for_everybody(host, short, exports):
    held = looking.texts()
    # what the panels made is among it: hashes, keys, Mailman's own password
    assert len(held) > 20 and any("mailman.cfg" in name for name in held) and any("settings.py" in name for name in held)
    found = looking.seek(short, held)
    assert not found, found
    # the witness saw what it was there for
    seen = host.check_output("cat /run/lab-witness")
    assert not exports or ("gpg --batch --quiet --no-tty" in seen and ("importlib.import_module" in seen or "mariadbd --no-defaults" in seen))


def test_the_search_finds_what_is_planted_for_it(decoys):
    assert decoys == unseen.expected()


def test_the_controller_was_told_nothing_secret():
    found = looking.on_controller(looking.texts())
    assert not found, found
    # the log is a whole one: as much as Ansible tells, of the runs that this is about
    log = looking.LOG.read_text(encoding="utf-8")
    for line in ("TASK [intact.hosting.panel_export : Apply | Export the panels, and read the exports back]", '"module_args": {', "panel_export_result"):
        assert line in log


@pytest.mark.parametrize(("name", "panels"), [("lists11", ["mailman"]), ("servers12", ["mailman", "postfixadmin"])])
def test_preflight_refuses_panels_that_nobody_exported(name, panels):
    found = looking.result(name + "-pf34-without")
    assert sorted((f["id"], f["severity"], f["subject"]) for f in found) == [("panel.unproven", "blocker", panel) for panel in panels]
