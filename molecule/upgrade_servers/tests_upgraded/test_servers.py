# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the upgrade of two other kinds of servers: no false alarm, and what their customers have, asked by their own clients."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
# the machine's load, which plays other scenarios meanwhile
MACHINES_OWN = ("resources.load.high",)


@pytest.fixture(scope="module")
def name(host):
    return host.check_output("hostname").split(".")[0]


@pytest.fixture(scope="module")
def flight(name):
    found = sorted((RESULTS / "flights").glob(f"{name}-upgrade-*"))
    assert len(found) == 1, found
    return found[0]


def test_the_release_is_the_target(host):
    assert host.check_output(". /etc/os-release; echo $VERSION_CODENAME") == "trixie"
    assert host.check_output("dpkg --audit") == ""
    assert host.check_output("systemctl is-system-running") == "running", host.check_output("systemctl --failed --no-legend")


def test_nothing_is_told_that_was_not_brought_by_the_release(flight):
    comparison = json.loads((flight / "comparison.json").read_text())
    found = [f"{f['severity']} {f['id']} {f['subject']}: {f['evidence']}" for f in comparison["findings"] if f["id"] not in MACHINES_OWN]
    assert found == []
    assert all(entry["reason"] for entry in comparison["allowed"])
    assert {entry["status"] for entry in comparison["sections"]} <= {"ok", "partial", "absent"}


def test_both_were_in_the_air_at_once():
    """One run of the playbook for both, not one after the other."""
    times = []
    for journal in (RESULTS / "flights").glob("*-upgrade-*/journal.jsonl"):
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        times.append((events[0]["time"], events[-1]["time"]))
    assert len(times) == 2
    assert max(begun for begun, _end in times) < min(end for _begun, end in times), times


def test_the_verdict_is_intact(flight):
    assert "INTACT" in json.dumps(json.loads((flight / "report.json").read_text())["verdict"]).upper()


def psql(host, sql):
    return host.check_output("runuser -u postgres -- psql -XAtq -d orchard_shop -c %s", sql)


def test_shop1_sells(host, name):
    if name != "shop1":
        pytest.skip("this host has no shop")
    page = host.check_output(
        "curl -s --cacert /usr/local/share/ca-certificates/intact-lab.crt --resolve shop.orchard.test:443:127.0.0.1 https://shop.orchard.test/"
    )
    assert "4000 orders" in page and "Quince jam" in page
    assert "Lütt Deern" in host.check_output("curl -s --resolve club.riverside.test:80:127.0.0.1 http://club.riverside.test/")
    assert "libphp8.4.so" in host.check_output("cat /etc/apache2/mods-enabled/php8.4.load")


def test_shop1_has_its_rows_in_the_new_version(host, name):
    if name != "shop1":
        pytest.skip("this host has no shop")
    assert psql(host, "SHOW server_version").startswith("17.")
    assert psql(host, "SELECT count(*), sum(pieces) FROM shop.orders").split("|")[0] == "4000"
    assert psql(host, "SELECT has_table_privilege('accountant', 'shop.unpaid', 'SELECT')") == "t"
    assert host.check_output("runuser -u postgres -- psql -XAtq -d northwind_crm -c 'SELECT count(*) FROM crm.invoice'") == "9000"


def test_shop1_delivers_and_keeps_what_waits(host, name):
    if name != "shop1":
        pytest.skip("this host has no mailboxes")
    assert "kim@deadend.test" in host.check_output("exim4 -bp")
    assert host.check_output("ls /home/anna/Maildir/.Archive.2022/cur | wc -l") == "14"
    before = int(host.check_output("ls /home/riverside/Maildir/new | wc -l"))
    host.check_output("printf 'Subject: after\\n\\nStill there?\\n' | exim4 -i -f buyer@example.test crew@riverside.test")
    for _second in range(20):
        now = int(host.check_output("sleep 1; ls /home/riverside/Maildir/new | wc -l"))
        if now > before:
            break
    assert now == before + 1


def test_shop1_lets_ftp_customers_in(host, name):
    if name != "shop1":
        pytest.skip("this host has no FTP")
    program = "import ftplib; f = ftplib.FTP('127.0.0.1', 'photos', 'lab-photos', timeout=20); print(f.nlst())"
    assert "README" in host.check_output("python3 -c %s", program)


def test_relay1_answers_for_its_zones(host, name):
    if name != "relay1":
        pytest.skip("this host has no zones")
    assert host.check_output("dig +short @127.0.0.1 mail.orchard.test A") == "192.0.2.25"
    assert "RRSIG" in host.check_output("dig +dnssec @127.0.0.1 northwind.test SOA")
    assert host.check_output("dig +short @192.0.2.53 53.2.0.192.in-addr.arpa PTR") == "ns1.orchard.test."


def test_relay1_relays(host, name):
    if name != "relay1":
        pytest.skip("this host is no relay")
    assert "sales@orchard.test" in host.check_output("postqueue -j")
    program = (
        "import smtplib; s = smtplib.SMTP('127.0.0.1', 25, 'client.example.test', timeout=20); s.mail('a@example.test');"
        " print(s.rcpt('crew@riverside.test')[0], s.rcpt('nobody@riverside.test')[0]); s.rset(); s.quit()"
    )
    assert host.check_output("python3 -c %s", program) == "250 550"


def test_no_scaffolding_is_left(host):
    for path in ("/usr/sbin/policy-rc.d", "/etc/systemd/system/intact-upgrade.service", "/etc/systemd/system/intact-upgrade.timer"):
        assert not host.file(path).exists, path
