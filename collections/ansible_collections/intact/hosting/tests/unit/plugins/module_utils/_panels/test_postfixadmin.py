# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostfixAdmin, from the rows of a real 3.3.13: its configuration read as text, its rows as objects, and every damage by name."""

from __future__ import annotations

import contextlib
import json
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _postfixadmin_items, _registry, postfixadmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.sqlpanels_fixture import SECRETS, Exported, database, host, sql

DATABASE = "/var/lib/postfixadmin/postfixadmin.db"
# As Debian's files are, shortened.
CONFIG = """<?php
/** $CONF['database_type'] = 'a comment'; */
require_once('dbconfig.inc.php');
$CONF['configured'] = true;   // 'quoted'
# $CONF['database_type'] = 'another comment';
$CONF['setup_password'] = 'changeme';
$CONF['admin_email'] = '';
$CONF['database_type'] = $dbtype;
$CONF['database_password'] = $dbpass;
$CONF['database_name'] = $dbname;
$CONF['database_tables'] = array (
    'admin' => 'admin', 'alias' => 'alias', // more
    'config' => 'config', 'domain' => 'domain', 'mailbox' => 'mailbox');
$CONF['password_validation'] = array('/regex here//' => 'password_no_digits 2');
$CONF['default_aliases'] = array('abuse' => 'abuse@x.tld', 'root' => "it's");
"""
LOCAL = """<?php
$CONF['database_type'] = 'sqlite';
$CONF['database_name'] = '/var/lib/postfixadmin/postfixadmin.db';
$CONF['setup_password'] = 'PLANTED:hash';
$CONF['admin_smtp_password'] = "PLANTED-smtp";
"""
FILES = {
    "/etc/postfixadmin/dbconfig.inc.php": "<?php\n$dbuser='pfa'; $dbpass='PLANTED-db'; $dbname='pfa'; $dbtype='mysql';\n",
    "/etc/postfixadmin/config.inc.php": CONFIG,
    "/etc/postfixadmin/config.local.php": LOCAL,
    "/usr/share/postfixadmin/public/upgrade.php": "<?php\nfunction upgrade_1846() {}\nfunction upgrade_1847() {}\n",
    "/var/lib/dpkg/status": "Package: a\n\nPackage: postfixadmin\nStatus: installed\nVersion: 3.3.13-1+deb12u1\n\nPackage: z\nVersion: 2\n",
}
ANN = "postfixadmin mailbox ann@example.com"


def panel(root, *statements, **files):
    database(root, DATABASE, "postfixadmin-sqlite.sql", *statements)
    return host(root, dict(FILES, **files))


def exported(tmp_path, change=None, *statements):
    return Exported(tmp_path, postfixadmin, panel(tmp_path / "host", *statements), change)


def test_configuration_is_read_as_text_in_the_order_of_its_files():
    told = _postfixadmin_items.settings([FILES["/etc/postfixadmin/" + name] for name in _postfixadmin_items.FILES])
    assert (told["database_type"], told["database_name"], told["configured"]) == ("sqlite", DATABASE, "true")
    assert told["database_tables"]["config"] == "config" and told["default_aliases"] == {"abuse": "abuse@x.tld", "root": "it's"}
    assert told["database_password"] == "PLANTED-db"
    assert _postfixadmin_items.names(dict(told, database_prefix="pfa_"))["vacation"] == "pfa_vacation"


def test_detected_by_files(tmp_path):
    found = postfixadmin.detect(panel(tmp_path))
    assert (found["version"], found["root"], found["etc"]) == ("3.3.13-1+deb12u1", "/usr/share/postfixadmin", "/etc/postfixadmin")
    assert found["database"] == {"engine": "sqlite", "name": DATABASE, "port": ""} and "PLANTED" not in json.dumps(found)
    assert postfixadmin in _registry.DRIVERS and postfixadmin.detect(host(tmp_path / "bare", {})) is None


@pytest.mark.parametrize(
    ("local", "words"),
    [
        ("$CONF['database_type'] = 'mysqli'; $CONF['database_host'] = 'db.example.com';", "its own host"),
        ("$CONF['database_type'] = 'oracle';", "not known here"),
        ("", None),
    ],
)
def test_a_database_that_can_not_be_read_here_is_refused_with_a_reason(local, words, tmp_path):
    system = panel(tmp_path, **{"/etc/postfixadmin/config.local.php": "<?php\n" + local})
    found = postfixadmin.detect(system)
    if words is None:
        # Debian's own way: what dbconfig wrote
        assert found["database"] == {"engine": "mysql", "name": "pfa", "port": ""}
        return
    told = [f for f in postfixadmin.ready(system, found) if f.id == "panel.database.refused"]
    assert found["database"] is None and words in told[0].evidence


def test_inventory_tells_domains_mailboxes_aliases_admins_and_more(tmp_path):
    system = panel(tmp_path)
    told = postfixadmin.inventory(system, postfixadmin.detect(system))["objects"]
    assert sorted(told["domain"]) == ["empty.example.net", "example.com", "old.example.com", "shop.example.org"]
    assert told["domain"]["example.com"]["description"] == "Kunde example.com; \"gut\" & 'günstig'"
    assert told["mailbox"]["ann@example.com"]["quota"] == "51200000" and told["mailbox"]["ann@example.com"]["password"].startswith("sha256:")
    assert told["mail_alias"]["@shop.example.org"]["to"] == ["info@shop.example.org"]
    assert told["domain_alias"]["old.example.com"]["target_domain"] == "example.com"
    assert told["customer"]["customer@example.com"]["domains"] == ["example.com", "shop.example.org"]
    assert told["setting"]["vacation bob@example.com"]["body"] == 'Bis Montag; danke, "Bob"'
    assert told["setting"]["$CONF"]["setup_password"].startswith("sha256:") and "database_password" not in told["setting"]["$CONF"]
    assert not [secret for secret in SECRETS if secret in json.dumps(told)]


def test_the_domain_all_is_the_way_to_say_of_everything(tmp_path):
    system = panel(tmp_path, "INSERT INTO domain (domain, description, transport) VALUES ('ALL', '', '')")
    told = postfixadmin.inventory(system, postfixadmin.detect(system))["objects"]
    assert "ALL" not in told["domain"] and told["customer"]["root@example.com"]["domains"] == ["ALL"]


def test_a_panel_that_nobody_began_to_use_is_told_and_its_export_is_not_taken_for_one(tmp_path):
    system = host(tmp_path / "host", dict(FILES, **{DATABASE: b""}))
    assert sorted(postfixadmin.inventory(system, postfixadmin.detect(system))["objects"]) == ["setting"]
    got = Exported(tmp_path, postfixadmin, system)
    assert got.told() == [("panel.dump.empty", "postfixadmin database postfixadmin.db")]


def test_a_table_that_is_gone_is_an_error_and_not_a_site_without_mailboxes(tmp_path):
    system = panel(tmp_path, "DROP TABLE mailbox")
    with pytest.raises(IntactError, match="has no table mailbox"):
        postfixadmin.inventory(system, postfixadmin.detect(system))


def test_tables_by_other_names_are_found_under_their_usual_ones(tmp_path):
    local = LOCAL + "$CONF['database_prefix'] = 'pfa_';\n"
    names = "admin alias alias_domain config domain domain_admins fetchmail mailbox vacation".split()
    system = panel(tmp_path, *("ALTER TABLE %s RENAME TO pfa_%s" % (name, name) for name in names), **{"/etc/postfixadmin/config.local.php": local})
    got = Exported(tmp_path, postfixadmin, system)
    assert (got.told(), got.verdict) == ([], "proven") and len(got.inventory["objects"]["mailbox"]) == 4


def test_a_good_export_is_proven_and_says_no_secret(tmp_path):
    got = exported(tmp_path)
    assert (got.told(), got.told("warning"), got.verdict) == ([], [], "proven")
    assert sorted(got.opened.names()) == ["etc.tar", "facts.json", "inventory.json.gz", "postfixadmin.db"]
    assert not [secret for secret in SECRETS if secret in got.text() + json.dumps(got.opened.document)]


def test_what_refers_to_nothing_on_the_host_is_told_and_does_not_fail_the_export(tmp_path):
    got = exported(tmp_path, None, "DELETE FROM domain WHERE domain = 'shop.example.org'")
    names = ("mail_alias @shop.example.org", "mailbox info@shop.example.org")
    assert got.verdict == "proven" and {("panel.reference.broken", "postfixadmin " + name) for name in names} <= set(got.told("warning"))


COPY = "postfixadmin.db"
# besides the cells of the matrix (rows)
DAMAGE = {
    "copy not there": (lambda t: (t / COPY).unlink(), ("panel.export.member", "postfixadmin file " + COPY)),
    "a password": (lambda t: sql(t / COPY, "UPDATE mailbox SET password = '' WHERE username = 'ann@example.com'"), ("panel.object.changed", ANN)),
    "an admin's domain": (
        lambda t: sql(t / COPY, "DELETE FROM domain_admins WHERE domain = 'shop.example.org'"),
        ("panel.object.changed", "postfixadmin customer customer@example.com"),
    ),
    "configuration not there": (lambda t: (t / "etc.tar").unlink(), ("panel.export.member", "postfixadmin file etc.tar")),
    "facts cut short": (lambda t: (t / "facts.json").write_text("[]"), ("panel.export.failed", "postfixadmin export")),
}


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_every_damage_is_told_with_the_name_of_what_it_hit(what, tmp_path):
    change, wanted = DAMAGE[what]
    got = exported(tmp_path, change)
    assert wanted in got.told() and got.verdict == "failed"
    assert not [secret for secret in SECRETS if secret in got.text()]


@pytest.fixture
def alone(monkeypatch):
    @contextlib.contextmanager
    def place(directory, user):
        os.makedirs(directory)
        yield directory

    def install(*said):
        commands = []

        def run(system, user, asked, cwd, **more):
            commands.extend(asked)
            out = [dict({"rc": 0, "out": "Database is up to date: 1847/1847", "err": ""}, **(said[0] if said else {}))]
            out += [{"rc": 0, "out": "Domain: %s" % words[-1], "err": ""} for words in asked[1:]]
            return out[: 1 if out[0]["rc"] else len(out)]

        monkeypatch.setattr(postfixadmin._alone, "run", run)
        return commands

    monkeypatch.setattr(postfixadmin._alone, "place", place)
    monkeypatch.setattr(postfixadmin.shutil, "chown", lambda *_words: None)
    return install


def placed(got, tmp_path):
    """The program where the driver copies it from: below the test's directory."""
    return dict(got.found, root=str(tmp_path / "host") + got.found["root"])


def test_scratch_opens_the_copy_with_the_program_and_asks_for_each_domain(tmp_path, alone):
    got, commands = exported(tmp_path), alone()
    seen = postfixadmin.scratch(panel(tmp_path / "b"), placed(got, tmp_path), got.opened, str(tmp_path / "s"))
    assert _inventory.compare(got.inventory, seen) == [] and len(commands) == 5 and commands[0][0] == "php"
    local = (tmp_path / "s" / "program" / "config.local.php").read_text()
    assert str(tmp_path / "s" / "scratch.db") in local and "PLANTED" not in local
    assert "dbconfig" not in (tmp_path / "s" / "program" / "config.inc.php").read_text()


@pytest.mark.parametrize(
    "said", [{"rc": 255, "out": "PHP Fatal error:  Uncaught Exception: x"}, {"rc": 0, "out": "Error: no such table"}, {"rc": 1, "out": "", "err": ""}]
)
def test_scratch_does_not_trust_the_programs_exit_status(said, tmp_path, alone):
    got = exported(tmp_path)
    alone(said)
    with pytest.raises(IntactError, match="can't open the copy"):
        postfixadmin.scratch(panel(tmp_path / "b"), placed(got, tmp_path), got.opened, str(tmp_path / "s"))


def test_an_export_of_a_newer_schema_or_another_database_is_refused_before_anything_is_touched(tmp_path):
    got = exported(tmp_path)
    older = panel(tmp_path / "b", **{"/usr/share/postfixadmin/public/upgrade.php": "function upgrade_1840() {}"})
    with pytest.raises(IntactError, match=r"the export's schema \(1847\) is newer"):
        postfixadmin.restore(older, postfixadmin.detect(older), got.opened, got.lines.append)
    other = panel(tmp_path / "c", **{"/etc/postfixadmin/config.local.php": LOCAL.replace("postfixadmin.db", "other.db")})
    with pytest.raises(IntactError, match="set it up alike first"):
        postfixadmin.restore(other, postfixadmin.detect(other), got.opened, got.lines.append)
