# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the old server's customers have on the new one: asked as they ask, not by our own report."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "results"
MAILBOXES = {
    "alice": {"INBOX": 30, "Orders": 12, "Entw&APw-rfe": 3},
    "bob": {"INBOX": 25, "Sent": 9, "Projects.Boats": 5},
    "carol": {"INBOX": 7},
}
IMAP = """
import imaplib, json, sys
box = imaplib.IMAP4('127.0.0.1'); box.login(sys.argv[1], sys.argv[2]); out = {}
for line in box.list()[1]:
    name = line.decode().rsplit(' "', 2)[-1].split('" ', 1)[-1].strip('"')
    name = line.decode().split(') ', 1)[1].split(' ', 1)[1].strip('"')
    status, told = box.select('"%s"' % name, readonly=True)
    out[name] = int(told[0]) if status == 'OK' else -1
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def filled():
    return json.loads((RESULTS / "filled.json").read_text())


def stat(host, path, what):
    return host.check_output(f"stat -c %{what} '{path}'")


def test_people_have_their_accounts_and_the_one_who_was_there_keeps_his(host, filled):
    assert host.user("ops").uid == 1000
    for name in filled["people"]:
        assert host.user(name).exists, name
        assert host.user(name).uid != 1000
    assert "bakery" in host.user("alice").groups
    # a group with power is nobody's by having had it elsewhere
    assert "adm" not in host.user("bob").groups


@pytest.mark.parametrize("name", sorted(MAILBOXES))
def test_old_passwords_open_the_mailboxes_and_all_messages_are_there(host, name):
    folders = json.loads(host.check_output(f"python3 -c {shlex.quote(IMAP)} {name} lab-{name}"))
    separator = "." if any("." in folder for folder in folders) else "/"
    wanted = {folder.replace(".", separator): count for folder, count in MAILBOXES[name].items()}
    assert {folder: folders.get(folder) for folder in wanted} == wanted, folders


def test_a_wrong_password_opens_nothing(host):
    assert host.run(f"python3 -c {shlex.quote(IMAP)} alice wrong").rc != 0


def test_flags_came_along(host):
    told = host.check_output("doveadm -f flow fetch -u bob flags mailbox INBOX")
    assert told.count("Flagged") == 13
    assert told.count("Seen") == 25


def test_files_belong_to_their_people_under_their_new_numbers(host):
    alice = host.user("alice").uid
    assert int(stat(host, "/home/alice/public_html/index.html", "u")) == alice
    assert host.check_output("find /home/alice /home/bob /home/carol /var/www/sail -uid 1000 | wc -l") == "0"
    orphan = int(stat(host, "/home/alice/orphan", "u"))
    assert 200000 <= orphan < 300000
    assert host.check_output("getfacl -n --absolute-names /home/alice/public_html").count(f"user:{host.user('bob').uid}:") == 2
    assert f"group:{host.group('bakery').gid}:" in host.check_output("getfacl -n --absolute-names /home/alice/public_html/index.html")


def test_links_holes_names_and_rights(host):
    assert stat(host, "/home/alice/linked-index.html", "i") == stat(host, "/home/alice/public_html/index.html", "i")
    assert int(stat(host, "/home/alice/sparse.img", "b")) < 1000
    assert stat(host, "/home/alice/sparse.img", "s") == str(50 * 2**20 + 17)
    assert host.check_output("find /home/alice -maxdepth 1 -name 'caf*' | wc -l") == "1"
    assert host.check_output("find /home/alice -maxdepth 1 -name 'line?break' -printf x") == "x"
    assert "cap_net_raw" in host.check_output("getcap /home/bob/bin/ping")
    assert stat(host, "/home/bob/bin/become", "a") == "4755"
    assert int(stat(host, "/home/bob/bin/become", "u")) == host.user("bob").uid
    assert host.check_output("find /home/alice/deep -name bottom | wc -l") == "1"


def test_links_that_a_customer_planted_led_nowhere(host):
    assert host.check_output("readlink /home/alice/to-shadow") == "/etc/shadow"
    assert int(stat(host, "/etc/shadow", "u")) == 0
    assert host.check_output("find /etc -newermt 2001-01-01 -uid +999 | wc -l") == "0"


def test_what_customers_were_told_is_stored_is_stored(host):
    """Written and synced in the last second before the power went: only a replayed journal has them."""
    assert host.check_output("ls /home/carol | grep -c told-stored") == "200"
    assert host.check_output("cat /home/carol/told-stored-199 | wc -l") == "50"


def test_databases(host, filled):
    assert host.check_output("mariadb -N -e 'SELECT COUNT(*), SUM(price) FROM shop.boats'").split() == filled["boats"]
    assert host.check_output("mariadb -N -e 'SELECT HEX(words) FROM shop.guests WHERE id = 1'").startswith("4772C3BCC39F65")
    assert int(host.check_output("mariadb -N -e 'SELECT COUNT(*) FROM diary.entries'")) > 3
    assert host.run("mariadb -u shop -plab-shop shop -N -e 'CALL cheap(500)'").rc == 0
    assert host.run("mariadb -u shop -plab-shop shop -N -e 'SELECT * FROM diary.entries'").rc != 0
    assert host.check_output("runuser -u postgres -- psql -tA club -c 'SELECT COUNT(*) FROM races'") == "50"
    assert int(host.check_output("runuser -u postgres -- psql -tA club -c 'SELECT COUNT(*) FROM members'")) >= 300
    assert host.run("PGPASSWORD=lab-club psql -h 127.0.0.1 -U club club -tAc 'SELECT 1'").rc == 0


def test_the_list_has_its_members(host):
    members = host.check_output("runuser -u list -- mailman members members@old1.lab.test").split()
    assert sum("sailor" in word for word in members) == 20
    assert "alice@old1.lab.test" in host.check_output("runuser -u list -- mailman members --role owner members@old1.lab.test")


def test_aliases_lead_to_the_same_people_and_programs_are_not_active(host):
    assert host.check_output("postalias -q office hash:/etc/aliases").replace(" ", "") == "alice,bob"
    assert host.run("postalias -q fax hash:/etc/aliases").stdout.strip() == ""


def test_jobs_came_and_none_of_them_runs(host):
    text = host.check_output("crontab -l -u alice")
    assert "/home/alice/bin/tidy" in text
    assert not [line for line in text.splitlines() if "tidy" in line and not line.startswith("#")]
    assert [line for line in host.check_output("crontab -l -u ops").splitlines() if not line.startswith("#")] == ["7 * * * * true"]
    assert not host.file("/etc/sudoers.d/bob").exists


@pytest.mark.parametrize(("site", "words"), [("www.bakery.test", "Bread since 1908"), ("shop.sail.test", "Boats: 500, worth 240676.00")])
def test_sites_serve_once_their_proposed_configuration_is_put_in_place(host, site, words):
    assert words in host.check_output(f"curl -sS --resolve {site}:80:127.0.0.1 http://{site}/")


def test_the_reconciliation_has_no_unexplained_difference(host):
    document = json.loads(host.check_output("cat /var/lib/intact/migrations/*/reconcile.json"))
    assert not [finding for finding in document["findings"] if finding["severity"] == "blocker"]


def test_it_was_cut_in_each_phase():
    cuts = json.loads((RESULTS / "cuts.json").read_text())
    assert {cut["phase"] for cut in cuts} == {"accounts", "files", "databases", "mail", "lists", "jobs", "plan"}
    assert all(cut["running"] for cut in cuts)
    assert {cut["who"] for cut in cuts} == {"host", "controller"}


def test_a_second_run_brings_nothing_twice():
    said = (RESULTS / "again.log").read_text()
    tasks = [part.split("\n", 1) for part in said.split("\nTASK [")[1:]]
    changed = [name.split("]", 1)[0] for name, rest in tasks if "\nchanged:" in "\n" + rest]
    assert len(tasks) > 20 and changed, said[-2000:]
    assert not [name for name in changed if "Phase | " in name or "Identity | " in name], changed


def test_nothing_of_the_disk_is_left_and_it_was_not_written(host):
    assert "/mnt/legacy" not in host.check_output("cat /proc/mounts")
    before, after = (json.loads((RESULTS / name).read_text()) for name in ("before.json", "after.json"))
    assert before["device"] == before["image"], "the lab's own: its device does not show its image"
    for route in ("device", "image"):
        assert len(before[route]) == len(after[route]) > 2000
        assert not [number for number, digest in enumerate(before[route]) if digest != after[route][number]], f"MiB of the disk, by its {route}"
