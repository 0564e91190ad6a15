# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mailman 3, from the rows, the configuration and the words of a real 3.3.3 and of the same lists in a real 3.3.10: what is told, and every damage by name."""

from __future__ import annotations

import json
import tarfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _bundle, _inventory, _mailman_items, _mailman_proof, _registry, mailman
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.sqlpanels_fixture import (
    SECRETS,
    Exported,
    Rest,
    database,
    host,
    recorded,
    sql,
)

DATABASE = "/var/lib/mailman3/data/mailman.db"
TEMPLATES = {
    "/var/lib/mailman3/templates/lists/news.lists.example.com/de/welcome.txt": "Willkommen, $user_name!\n",
    "/var/lib/mailman3/templates/site/en/list:user:notice:goodbye.txt": "So long.\n",
}
FILES = dict(
    TEMPLATES,
    **{
        "/usr/bin/mailman": "#!/usr/bin/python3\n",
        "/usr/lib/python3/dist-packages/mailman-3.3.3.egg-info/PKG-INFO": "Version: 3.3.3\n",
        "/etc/mailman3/mailman-hyperkitty.cfg": "[general]\napi_key: PLANTED-hyperkitty\n",
        "/etc/mailman3/mailman.cfg.ucf-dist": "another",
    },
)
NEWS = "mailman list news@lists.example.com"


def lists(root, *statements, rest=None, script="mailman-3.3.3.sql", **files):
    database(root, DATABASE, script, *statements)
    return host(root, dict(FILES, **{"/etc/mailman3/mailman.cfg": recorded("mailman-3.3.3.cfg")}, **files), rest=rest)


@pytest.fixture
def rest():
    running = Rest(json.loads(recorded("mailman-3.3.3-rest.json")))
    yield running
    running.close()


def exported(tmp_path, rest, change=None, mode="settings", **more):
    return Exported(tmp_path, mailman, lists(tmp_path / "host", rest=rest, **more), change, mode)


def test_detected_by_files(tmp_path):
    found = mailman.detect(lists(tmp_path))
    assert (found["version"], found["user"], found["program"]) == ("3.3.3", "panel", "/usr/bin/mailman")
    assert found["database"] == {"engine": "sqlite", "name": DATABASE, "port": ""} and found["archives"] == "/var/lib/mailman3/archives"
    assert mailman in _registry.DRIVERS and mailman.detect(host(tmp_path / "bare", {"/etc/hostname": "x"})) is None
    # a configuration that a removed package left behind is no panel
    assert mailman.detect(host(tmp_path / "rest", {"/etc/mailman3/mailman.cfg": recorded("mailman-3.3.3.cfg")})) is None


def test_a_database_elsewhere_is_found_and_refused_before_an_export(tmp_path):
    config = recorded("mailman-3.3.3.cfg").replace(b"sqlite:///$DATA_DIR/mailman.db", b"mysql://mm:PLANTED@db.example.com/mm")
    system = host(tmp_path, dict(FILES, **{"/etc/mailman3/mailman.cfg": config}))
    found = mailman.detect(system)
    told = [f for f in mailman.ready(system, found) if f.id == "panel.database.refused"]
    assert found["database"] is None and len(told) == 1 and "db.example.com" in told[0].evidence and "PLANTED" not in str(told) + str(found)
    with pytest.raises(IntactError, match=r"db\.example\.com"):
        mailman.inventory(system, found)


def test_inventory_tells_lists_people_settings_templates_and_where_archives_are(tmp_path):
    system = lists(tmp_path)
    told = mailman.inventory(system, mailman.detect(system))["objects"]
    news = told["list"]["news@lists.example.com"]
    assert sorted(told["list"]) == ["announce@club.example.org", "empty@club.example.org", "news@lists.example.com", "staff@lists.example.com"]
    assert "reader07@example.net (acknowledge_posts=1, moderation_action=0, receive_own_postings=0)" in news["members"]
    assert [entry.split(" ")[0] for entry in news["owners"]] == ["owner@example.com", "second-owner@example.com"]
    assert [entry.split(" ")[0] for entry in news["moderators"]] == ["moderator@example.com"]
    # a pickled list, taken apart without being loaded
    assert news["accept_these_nonmembers"] == [r"^.*@partner\x5c.example\x5c.org$", "boss@example.net"]
    assert news["bans"] == ["troll@example.net"] and news["header_matches"][0] == "0: x-spam-flag: YES -> discard"
    assert (news["archive_policy"], news["archivers"], told["list"]["staff@lists.example.com"]["archivers"]) == ("1", ["prototype"], [])
    assert told["setting"]["archives"] == {"directory": "/var/lib/mailman3/archives"}
    assert told["domain"]["lists.example.com"]["owners"] == ["hostmaster@example.com"]
    assert told["customer"]["lena@example.com"]["addresses"] == ["lena@example.com (verified)", "lena@private.example.net"]
    assert told["setting"]["template lists/news.lists.example.com/de/welcome.txt"]["bytes"] == 24
    assert "file mailman-hyperkitty.cfg" in told["setting"] and "file mailman.cfg.ucf-dist" not in told["setting"]
    assert told["setting"]["mailman.cfg [webservice]"]["admin_pass"].startswith("sha256:")
    assert not [secret for secret in SECRETS if secret in json.dumps(told)]


def test_a_database_that_no_command_was_run_on_yet_has_no_lists_and_another_one_without_tables_is_an_error(tmp_path):
    system = host(tmp_path / "a", dict(FILES, **{"/etc/mailman3/mailman.cfg": recorded("mailman-3.3.3.cfg"), DATABASE: b""}))
    assert "list" not in mailman.inventory(system, mailman.detect(system))["objects"]
    system = lists(tmp_path / "b", "DROP TABLE mailinglist")
    with pytest.raises(IntactError, match="has no table mailinglist"):
        mailman.inventory(system, mailman.detect(system))


def test_the_same_lists_are_equal_in_the_schema_of_3_3_3_and_of_3_3_10(tmp_path):
    told = []
    for script in ("mailman-3.3.3.sql", "mailman-3.3.10.sql"):
        system = lists(tmp_path / script, script=script)
        told.append(mailman.inventory(system, mailman.detect(system)))
    assert _inventory.compare(*told) == [] and _inventory.counts(told[0]) == _inventory.counts(told[1])
    # only the newer schema has these
    assert "dmarc_addresses" in told[1]["objects"]["list"]["news@lists.example.com"]
    assert "dmarc_addresses" not in told[0]["objects"]["list"]["news@lists.example.com"]


def test_a_good_export_is_proven_and_says_no_secret(tmp_path, rest):
    got = exported(tmp_path, rest)
    assert (got.told(), got.told("warning"), got.verdict, got.made["rc"]) == ([], [], "proven", 0)
    assert sorted(got.opened.names()) == ["etc.tar", "facts.json", "inventory.json.gz", "mailman.db", "rest.json"]
    assert not [secret for secret in SECRETS if secret in got.text() + json.dumps(got.opened.document)]


def test_a_full_export_has_held_messages_and_archives(tmp_path, rest):
    more = {"/var/lib/mailman3/messages/AB/C": "held", "/var/lib/mailman3/archives/prototype/news/1": "mail"}
    got = exported(tmp_path, rest, mode="full", **more)
    assert got.verdict == "proven"
    assert {"var/lib/mailman3/messages/AB/C", "var/lib/mailman3/archives/prototype/news/1"} <= set(got.opened.contents("data.tar").members)
    assert exported(tmp_path / "b", rest, lambda t: (t / "data.tar").unlink(), mode="full").told() == [("panel.export.member", "mailman file data.tar")]


def test_a_message_that_is_delivered_while_a_full_export_is_packed_is_no_fault_of_it(tmp_path, rest, monkeypatch):
    below = _bundle.below

    def moving(view, path, leftovers=True):
        return below(view, path, leftovers) + (["/var/lib/mailman3/messages/gone"] if path == "/var/lib/mailman3/messages" else [])

    monkeypatch.setattr(_bundle, "below", moving)
    more = {"/var/lib/mailman3/messages/AB/C": "held"}
    got = exported(tmp_path, rest, mode="full", **more)
    assert got.verdict == "proven" and "var/lib/mailman3/messages/AB/C" in got.opened.contents("data.tar").members
    system = lists(tmp_path / "b", rest=rest, **more)
    assert [finding.id for finding in mailman.ready(system, mailman.detect(system), "full")] in ([], ["panel.space"])
    assert _bundle.files(system, "/var/lib/mailman3/messages") == {"AB/C": b"held"}


def without(archive, path):
    """Take a member out of a tar."""
    with tarfile.open(str(archive)) as old:
        held = [(entry, old.extractfile(entry).read() if entry.isfile() else None) for entry in old]
    with tarfile.open(str(archive), "w") as new:
        for entry, data in held:
            if entry.name != path:
                import io

                new.addfile(entry, io.BytesIO(data) if data is not None else None)


def rewritten(path, change):
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


# besides the cells of the matrix (rows)
DAMAGE = {
    "all lists gone": (lambda t: sql(t / "mailman.db", "DELETE FROM mailinglist"), ("panel.object.missing", NEWS)),
    "a moderator is an owner": (
        lambda t: sql(t / "mailman.db", "UPDATE member SET role = 2 WHERE role = 3 AND list_id LIKE 'news%'"),
        ("panel.object.empty", NEWS),
    ),
    "a setting": (lambda t: sql(t / "mailman.db", "UPDATE mailinglist SET subscription_policy = 0 WHERE list_name = 'news'"), ("panel.object.changed", NEWS)),
    "a password": (
        lambda t: sql(t / "mailman.db", "UPDATE mailinglist SET moderator_password = NULL WHERE list_name = 'news'"),
        ("panel.object.changed", NEWS),
    ),
    "a user's password": (
        lambda t: sql(t / "mailman.db", "UPDATE user SET password = 'x' WHERE display_name LIKE 'Lena%'"),
        ("panel.object.changed", "mailman customer lena@example.com"),
    ),
    "a row that refers to nothing": (
        lambda t: sql(t / "mailman.db", "UPDATE member SET address_id = 9999 WHERE id = 1"),
        ("panel.object.changed", NEWS),
    ),
    "configuration gone": (lambda t: without(t / "etc.tar", "etc/mailman3/mailman.cfg"), ("panel.object.missing", "mailman setting mailman.cfg [webservice]")),
    "archive not there": (lambda t: (t / "etc.tar").unlink(), ("panel.export.member", "mailman file etc.tar")),
    "facts not there": (lambda t: (t / "facts.json").unlink(), ("panel.export.member", "mailman file facts.json")),
    "facts damaged": (lambda t: (t / "facts.json").write_text("{"), ("panel.export.failed", "mailman export")),
    "copy not there": (lambda t: (t / "mailman.db").unlink(), ("panel.export.member", "mailman file mailman.db")),
    "REST says a setting otherwise": (
        lambda t: rewritten(t / "rest.json", lambda d: d["lists"]["news@lists.example.com"]["config"].update(archive_policy="public")),
        ("panel.object.changed", NEWS),
    ),
    "REST damaged": (lambda t: (t / "rest.json").write_text('{"lists": {"x": 1}}'), ("panel.export.corrupt", "mailman file rest.json")),
}


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_every_damage_is_told_with_the_name_of_what_it_hit(what, tmp_path, rest):
    change, wanted = DAMAGE[what]
    got = exported(tmp_path, rest, change)
    assert wanted in got.told() and got.verdict == "failed"
    assert not [secret for secret in SECRETS if secret in got.text()]


def test_without_the_service_the_rows_are_proven_all_the_same_and_that_is_said(tmp_path):
    got = exported(tmp_path, None)
    assert (got.told(), got.told("warning"), got.verdict) == ([], [("panel.export.member", "mailman file rest.json")], "proven")
    assert "does not answer" in got.made["said"][0]


def test_a_wrong_password_for_rest_is_said_and_not_shown(tmp_path):
    running = Rest(json.loads(recorded("mailman-3.3.3-rest.json")), "PLANTED-another")
    got = exported(tmp_path, running)
    running.close()
    assert got.made["said"] == ["Mailman's REST interface answers 401 to system/versions"] and "PLANTED" not in got.text()


def test_long_rosters_come_page_by_page(tmp_path, rest, monkeypatch):
    monkeypatch.setattr("ansible_collections.intact.hosting.plugins.module_utils._panels._mailman_rest.PAGE", 3)
    got = exported(tmp_path, rest)
    assert got.verdict == "proven" and len(json.loads(got.opened.read("rest.json"))["lists"]["news@lists.example.com"]["member"]) > 6


def test_a_template_that_was_not_there_before_is_told_and_does_not_fail_the_export(tmp_path, rest):
    files = dict.fromkeys(TEMPLATES)
    database(tmp_path / "host", DATABASE, "mailman-3.3.3.sql")
    kept = {path: text for path, text in FILES.items() if path not in files}
    system = host(tmp_path / "host", dict(kept, **{"/etc/mailman3/mailman.cfg": recorded("mailman-3.3.3.cfg")}), rest=rest)
    got = Exported(tmp_path, mailman, system)
    name = "mailman setting template list:user:notice:welcome of news.lists.example.com"
    assert (got.told(), got.told("warning"), got.verdict) == ([], [("panel.reference.broken", name)], "proven")


def test_a_pickle_is_never_loaded():
    # os.system("touch ...") as a pickle would run it
    evil = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x0etouch /tmp/own\x94\x85\x94R\x94."
    assert _mailman_items.texts(evil) == ["touch /tmp/own"]
    assert _mailman_items.texts(b"\x80\x04broken")[0].startswith("unreadable: sha256:")


class Scratch:
    """Stands for the program: it migrates the copy as 3.3.10 does, and tells rosters."""

    def __init__(self, change=None, rc=0):
        self.change, self.rc, self.commands = change, rc, []

    def __call__(self, system, user, commands, cwd, env=None, redis=False, timeout=1800):
        self.commands += commands
        import os

        path = os.path.join(cwd, "data", "mailman.db")
        sql(path, "ALTER TABLE mailinglist ADD COLUMN dmarc_addresses BLOB", "UPDATE alembic_version SET version_num = '8cc1f79f4459'", *(self.change or []))
        rows = _mailman_items.objects(_mailman_proof._copies.file_rows(path, "sqlite", _mailman_items.TABLES), {}, {})
        told = _mailman_proof.plain({"objects": {"list": rows["list"]}})["objects"]["list"]
        told = {name: {key: item[key] for key in _mailman_items.PEOPLE.values()} for name, item in told.items()}
        return [{"rc": self.rc, "out": "", "err": "no such revision"}, {"rc": 0, "out": json.dumps(told) + "\n", "err": ""}][: 1 if self.rc else 2]


@pytest.fixture
def alone(monkeypatch):
    """_alone without users of its own: the tests may run as anybody."""
    import contextlib
    import os

    @contextlib.contextmanager
    def place(directory, user):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "panel")
        os.mkdir(path)
        yield path

    monkeypatch.setattr(_mailman_proof._alone, "place", place)
    monkeypatch.setattr(_mailman_proof.shutil, "chown", lambda *_words: None)
    return lambda stand: monkeypatch.setattr(_mailman_proof._alone, "run", stand)


def test_scratch_tells_the_rows_after_the_programs_own_migration(tmp_path, rest, alone):
    got, stand = exported(tmp_path, rest), Scratch()
    alone(stand)
    seen = mailman.scratch(lists(tmp_path / "b"), got.found, got.opened, str(tmp_path / "s"))
    assert _inventory.compare(got.inventory, seen) == [] and sorted(seen["objects"]) == ["customer", "domain", "list", "setting"]
    assert stand.commands[0][0] == "/usr/bin/mailman" and stand.commands[0][1] == "-C" and not [s for s in SECRETS if s in str(stand.commands)]


def test_scratch_tells_what_the_program_lost(tmp_path, rest, alone):
    got = exported(tmp_path, rest)
    alone(Scratch(["DELETE FROM mailinglist"]))
    seen = mailman.scratch(lists(tmp_path / "b"), got.found, got.opened, str(tmp_path / "s"))
    assert ("panel.object.missing", NEWS) in [(f.id, f.subject) for f in _inventory.compare(got.inventory, seen, kinds=sorted(seen["objects"]))]
    alone(Scratch(rc=1))
    with pytest.raises(IntactError, match="Mailman can't open the copy: no such revision"):
        mailman.scratch(lists(tmp_path / "c"), got.found, got.opened, str(tmp_path / "t"))


def test_a_program_that_sees_other_members_than_the_rows_is_an_error(tmp_path, rest, alone):
    got = exported(tmp_path, rest)
    stand = Scratch()
    alone(
        lambda *words, **more: [
            told if i == 0 else dict(told, out=told["out"].replace("ann@example.com", "eve@example.com")) for i, told in enumerate(stand(*words, **more))
        ]
    )
    with pytest.raises(IntactError, match="other members of the list"):
        mailman.scratch(lists(tmp_path / "b"), got.found, got.opened, str(tmp_path / "s"))


def test_somebody_who_joins_while_the_service_is_asked_is_no_fault_of_the_export(tmp_path, rest):
    from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _verify

    join = "INSERT INTO address (id, email) VALUES (900, 'new@example.net')"
    join = [join, "INSERT INTO member (id, role, list_id, address_id) VALUES (900, 1, 'news.lists.example.com', 900)"]
    told = json.loads(recorded("mailman-3.3.3-rest.json"))
    told["lists"]["news@lists.example.com"]["member"].append({"email": "new@example.net"})
    running = Rest(told)
    system = lists(tmp_path / "host", rest=running)
    found = mailman.detect(system)
    with _export.begin("mailman", "settings", str(tmp_path / "exports")) as work:
        before = mailman.inventory(system, found)
        made = mailman.export(system, found, "settings", work.target, print)
        running.close()
        facts = {"version": "3.3.3", "met": "real", "host": "lists1", "host_id": "aa11", "seconds": 1.0}
        document = _export.store(work, made, before, facts, None)
        findings, verdict = _verify.judge(mailman, _verify.Opened(work.path, None, document))
        assert verdict == "failed" and [f.subject for f in findings] == [NEWS]
        # as _run does then
        database(tmp_path / "host", DATABASE, "", *join)
        document = _export.add_later(work, document, mailman.inventory(system, found))
        assert _verify.judge(mailman, _verify.Opened(work.path, None, document)) == ([], "proven")
