# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each class takes, and what it leaves to the others."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes, _rules, databases, files, mail, panel, system
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._panels import _registry
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture

PASSWD = "alice:x:1001:1001::/home/alice:/bin/bash\n"


def mail_host(**more):
    paths = "user\tpath\nalice\t%s\nbob@example.com\t%s\ncarol@example.com\t%s\n"
    inbox = paths % ("/home/alice/Maildir", "/var/vmail/example.com/bob/Maildir", "/var/vmail/example.com/carol/Maildir")
    other = paths % ("/home/alice/Maildir/.intactprobe", "/var/vmail/example.com/bob/Maildir/.x", "/var/vmail/example.com/carol/Maildir/.x")
    commands = {"doveadm -f tab mailbox path -t mailbox -A INBOX": inbox, "doveadm -f tab mailbox path -t mailbox -A intactprobe": other}
    directories = ("/home/alice/Maildir/cur", "/var/vmail/example.com/bob/Maildir/cur", "/var/vmail/example.com/carol/Maildir/cur")
    return FakeSystem(dict(commands, **more), {"/etc/passwd": PASSWD, "/home/alice/.forward": "x"}, directories=directories)


def test_mail_is_what_dovecot_says_it_is():
    host = mail_host()
    assert mail.in_use(host)
    assert [entry["path"] for entry in mail.taken(host, {})] == ["/home/alice/Maildir", "/var/vmail/example.com"]
    found = mail.paths(host, {})
    assert b"/home/alice/Maildir" in found and b"/home/alice/.forward" in found and b"/var/vmail/example.com" in found


def test_files_leave_mail_to_mail_and_only_that():
    patterns = [p for rule in files.excluded({"taken": mail.taken(mail_host(), {})}) for p in rule["patterns"]]
    assert "/home/alice/Maildir" in patterns and "Maildir" not in patterns


def test_a_mail_server_that_cannot_say_is_told_and_files_keep_all():
    host = mail_host()
    host.commands = {("doveadm", "-f"): (1, "", "Fatal: Error reading configuration")}
    assert mail.taken(host, {}) == [] and host.unlooked[0]["what"] == "section mail"


def test_flags_in_dbox_indexes_are_mail():
    host = mail_host()
    assert mail.refine(host, {})["dbox"] is False and mail.excluded({}) == [mail.INDEXES]
    host.directories.add("/home/alice/Maildir/dbox-Mails")
    assert mail.excluded(mail.refine(host, {})) == [mail.CACHES]


def test_a_tree_that_is_a_link_is_given_with_what_it_leads_to(tmp_path):
    from ansible_collections.intact.hosting.plugins.module_utils._system import System

    (tmp_path / "data").mkdir()
    (tmp_path / "home").symlink_to("data")
    found = _eyes.there(System(), [str(tmp_path / "home"), str(tmp_path / "gone")])
    assert found == [str(tmp_path / "home").encode(), str(tmp_path / "data").encode()]


def test_trees_in_trees_are_given_once():
    assert _eyes.topmost([b"/srv", b"/srv/a", b"/srvx", b"/srv"]) == [b"/srv", b"/srvx"]


def test_system_tells_what_no_file_holds():
    host = FakeSystem(
        {
            "dpkg --get-selections": "nginx install\n",
            "apt-mark showmanual": "nginx\n",
            "apt-mark showhold": "",
            "sfdisk -d /dev/sda": "label: gpt\n",
            "lsblk -d": "/dev/sda disk\n/dev/sr0 rom\n",
            "lsblk -J": "{}",
            "repquota": (1, "", "no quota"),
        }
    )
    made = system.generated(host)
    assert made["packages-selections"] == b"nginx install\n" and made["sfdisk-sda"] == b"label: gpt\n"
    assert "quota" not in made and "mdadm" not in made


def test_panel_is_in_use_when_something_was_exported_or_a_panel_is_there(monkeypatch):
    drivers = [SimpleNamespace(NAME=n, detect=lambda view, n=n: {"version": ""} if view.exists("/" + n) else None) for n in ("plesk", "mailman", "none")]
    monkeypatch.setattr(_registry, "DRIVERS", drivers)
    assert not panel.in_use(FakeSystem()) and not panel.in_use(FakeSystem(files={"/mailman": ""}))  # that one is the class lists
    assert panel.in_use(FakeSystem(files={panel.DIRECTORY + "/hestia/users.json": "{}"})) and panel.in_use(FakeSystem(files={"/plesk": ""}))
    (finding,) = panel.judged(FakeSystem(files={"/plesk": ""}), {})
    assert (finding.id, finding.severity, finding.subject) == ("panel.export.stale", "blocker", "plesk export") and "no export" in finding.evidence


def test_exports_that_are_not_finished_are_in_no_backup():
    rules = panel.excluded({"exclude": [{"patterns": ["*.failed"], "reason": "for a person here"}]})
    matches = _trees_data.matcher(_rules.check(rules, [panel.DIRECTORY.encode()]))
    names = (".x.part", ".lock", ".open-1-a", "20261122t010000z-settings", "a.failed")
    left = [name for name in names if matches(("%s/plesk/%s" % (panel.DIRECTORY, name)).encode(), name.encode(), "dir", b"")]
    assert left == [".x.part", ".lock", ".open-1-a", "a.failed"] and not matches((panel.DIRECTORY + "/plesk").encode(), b"plesk", "dir", b"")


def test_an_export_that_is_too_old_is_a_finding_of_the_class_panel(tmp_path, monkeypatch):
    monkeypatch.setattr(_registry, "DRIVERS", [])
    monkeypatch.setattr(panel, "DIRECTORY", str(tmp_path))
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=31)
    monkeypatch.setattr(export_fixture, "FACTS", dict(export_fixture.FACTS, host_id="aa"))
    path = export_fixture.export(tmp_path, {"a": b"1"}, moment=moment)
    host = FakeSystem(files={"/etc/machine-id": "aa", path + "/export.json": (tmp_path / path / "export.json").read_text()})
    assert [f.subject for f in panel.judged(host, {})] == ["plesk export " + moment.strftime("%Y%m%dt%H%M%Sz-settings")]
    assert panel.judged(host, {"max_export_hours": 32}) == []


def test_databases_are_merged_from_their_dumps():
    items = {"mariadb:shop.orders": {"kind": "table", "rows": 7}, "mariadb:shop": {"kind": "database"}, "mariadb user a@b": {"kind": "user"}}
    section = databases.merged(items)
    assert databases.counts({"databases": section}) == {"databases": 1, "tables": 1, "rows": 7, "users": 1}
    assert databases.objects({"databases": section}) == {"mariadb:shop.orders": 7}
    assert databases.set_options({"sqlite_trees": [], "mysql_defaults_file": "", "lock_wait_seconds": 10}) == {"lock_wait_seconds": 10}
