# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each class takes, and what it leaves to the others."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes, databases, files, mail, panel, system
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

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


def test_panel_is_in_use_when_something_was_exported():
    assert not panel.in_use(FakeSystem())
    assert panel.in_use(FakeSystem(files={panel.DIRECTORY + "/hestia/users.json": "{}"}))


def test_databases_are_merged_from_their_dumps():
    items = {"mariadb:shop.orders": {"kind": "table", "rows": 7}, "mariadb:shop": {"kind": "database"}, "mariadb user a@b": {"kind": "user"}}
    section = databases.merged(items)
    assert databases.counts({"databases": section}) == {"databases": 1, "tables": 1, "rows": 7, "users": 1}
    assert databases.objects({"databases": section}) == {"mariadb:shop.orders": 7}
    assert databases.set_options({"sqlite_trees": [], "mysql_defaults_file": "", "lock_wait_seconds": 10}) == {"lock_wait_seconds": 10}
