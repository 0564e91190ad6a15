# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""web1 and one of its two backups were lost; a fresh Debian 13 has taken its place from the other one. What web1 was is in before.json.gz."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
# What customers have. A restore brings no packages, addresses or disks: these are the new server's own.
CUSTOMERS = ("sites", "databases", "mail", "queue", "lists", "dns", "tls", "cron", "accounts", "files")
# Not customers' data: Intact's own schedule comes back with back-up-host.yml.
OWN = "intact-backup-"
# Numbers of the system's own accounts are the new server's, and files follow their owners' names.
NUMBERS = ("accounts.uid.changed", "accounts.group.gid.changed")
SYSTEM_ACCOUNTS = {"bind", "crontab", "dovecot", "dovenull", "messagebus", "mysql", "postdrop", "postfix", "postgres", "ssl-cert", "sshd"}


@pytest.fixture(scope="module")
def rescue():
    return json.loads((RESULTS / "rescue.json").read_text())


@pytest.fixture(scope="module")
def compared():
    document = json.loads((RESULTS / "compared.json").read_text())
    assert not document["failed"], document["failed"]
    return document


@pytest.fixture
def web2(host):
    if host.backend.get_hostname() != "web2.lab.test":
        pytest.skip("only web2 was restored")  # testinfra asks for every host of the lab
    return host


def test_a_killed_restore_goes_on_and_a_third_start_changes_nothing(rescue):
    first, second, third = rescue["runs"]
    assert first["rc"] != 0 and rescue["cut"] is not None, first["out"][-3000:]
    assert second["rc"] == 0 and "host_restore: GO" in second["out"], second["out"][-3000:]
    assert third["rc"] == 0 and "changed=0" in third["out"].rsplit("PLAY RECAP", 1)[1], third["out"][-3000:]


def test_pages_are_served_before_anything_else_is_restored(rescue):
    assert len(rescue["pages"]) == rescue["asked"], rescue["pages"]
    first, last = min(rescue["pages"].values()), max(rescue["pages"].values())
    # in the operator's order: the first site does not wait for the last, and none of them for the mail
    assert next(iter(rescue["pages"])).startswith("www.hilltop.test") and first < last
    assert last < rescue["cut"] + rescue["runs"][1]["seconds"]


def test_every_file_table_mailbox_list_and_job_is_as_it_was(compared):
    """The baseline that was taken of web1 before it was lost, held against one of web2."""
    different = []
    for finding in compared["findings"]:
        section = finding["id"].split(".")[0]
        if finding["severity"] != "blocker" or section not in CUSTOMERS or OWN in finding["subject"]:
            continue
        if finding["id"] in NUMBERS and finding["subject"].split()[-1] in SYSTEM_ACCOUNTS:
            continue
        if section == "files" and finding["subject"].startswith("/etc/"):
            continue  # what of /etc comes is named in the inventory; test_settings looks at it
        different.append((finding["id"], finding["subject"], finding["evidence"]))
    assert different == []
    looked = {section["section"]: section["status"] for section in compared["sections"]}
    assert {section: looked[section] for section in CUSTOMERS} == dict.fromkeys(CUSTOMERS, "ok")


def test_settings_came_as_the_inventory_says(compared, web2):
    """Of /etc only what is named there; the pools of PHP 8.2 are where PHP 8.4 reads them."""
    told = {finding["subject"] for finding in compared["findings"] if finding["id"].startswith("files.")}
    for path in ("/etc/nginx/sites-available/blog.northwind.test", "/etc/postfix/main.cf", "/etc/cron.d/hosting", "/etc/aliases", "/etc/bind/named.conf.local"):
        assert path not in told and web2.file(path).exists, path
    for pool in ("northwind", "harbour", "wiki"):
        assert web2.file("/etc/php/8.4/fpm/pool.d/%s.conf" % pool).is_file
        assert not web2.file("/etc/php/8.2/fpm/pool.d/%s.conf" % pool).exists


def test_what_was_not_named_is_told(rescue):
    assert "restore.left" in rescue["runs"][1]["out"]


def test_everything_answers_from_outside():
    """Sites, mailboxes with their logins, recipients, zones, databases of all customers, asked over the network as they do."""
    asked = json.loads((RESULTS / "asked.json").read_text())
    wrong = [line for line in asked["out"].splitlines() if "wrong: " in line]
    # a restore brings no packages and starts no firewall: the rules are in place, the operator enables them
    assert [line.split("wrong: ")[1].split(":")[0] for line in wrong] == ["held package", "firewall table"], asked["out"]


def test_owners_go_by_name(web2):
    """carol's number is free here, the mail system's numbers are others."""
    assert web2.file("/var/mail/carol").user == "carol" and web2.file("/var/mail/carol").size > 100000
    assert web2.file("/var/lib/mailman3/data/mailman.db").user == "list"
    assert web2.file("/etc/postfix/main.cf").contains("hilltop.test")


def test_what_was_overwritten_is_kept_and_nothing_else_lies_about(web2):
    assert web2.file("/var/lib/intact/restores/lost/aside/etc/nginx/nginx.conf").is_file
    assert web2.file("/var/lib/intact/restores/lost").mode == 0o700
    assert web2.run("ls -d /.intact-restore-* /home/.intact-restore-*").stdout == ""
    assert not web2.file("/var/lib/intact/restores/lost-credentials").exists


def test_services_that_were_stopped_run_again(web2):
    for unit in ("postfix", "dovecot", "mailman3", "mariadb", "nginx", "php8.4-fpm", "named"):
        assert web2.service(unit).is_running, unit
    assert web2.service("harbour-report.timer").is_running


def test_the_burnt_repository_says_so(host):
    if host.backend.get_hostname() == "attic.lab.test":
        assert host.run("find /srv/backup/web1/store -type f").stdout == ""
