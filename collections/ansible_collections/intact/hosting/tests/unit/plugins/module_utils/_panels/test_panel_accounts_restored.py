# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cPanel's and DirectAdmin's restores as transactions, the stand-ins with a real MariaDB behind them: whatever befalls them, nothing of anybody is lost."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _restores, _standing
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import accounts_lab, panel_server

pytestmark = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")
PANELS = ("cpanel", "directadmin")
# (the account that comes last, its database, a file of a site, a message, a database with customers) of each panel
ABOUT = {
    "cpanel": ("carol", "carol_wp", "/home/alice/public_html/index.html", "/home/alice/mail/shop.example/ann/cur/1.eml", "alice_shop"),
    "directadmin": (
        "nils",
        "nils_wp",
        "/home/mina/domains/mina.example/public_html/index.html",
        "/home/mina/imap/mina.example/post/Maildir/new/1.host",
        "mina_shop",
    ),
}
REFUSED = {"cpanel": "restore_refused", "directadmin": "restore_fails"}


@pytest.fixture(scope="module", autouse=True)
def _template():
    yield
    panel_server.forget()


@pytest.fixture
def lab(request):
    made = accounts_lab.Lab(request.param).make()
    yield made
    made.close()


both = pytest.mark.parametrize("lab", PANELS, indirect=True)


def since(lab):
    """What customers did after the export."""
    _user, _database, site, message, shop = ABOUT[lab.panel]
    lab.machine.write(site, "since")
    lab.machine.write(message, "since")
    lab.server.sql("INSERT INTO customers VALUES (99, 'since'); CREATE TABLE fresh (id INT); INSERT INTO fresh VALUES (1)", shop)


def lose(lab):
    """The host has lost an account, with all that it had, and directories that the panel makes when it needs them."""
    user, database, *_rest = ABOUT[lab.panel]
    lab.server.sql("DROP DATABASE %s; DROP USER %s@localhost" % (database, database))
    gone = {
        "cpanel": "/var/cpanel/users/{0} /var/cpanel/userdata/{0} /var/cpanel/databases/{0}.json /etc/proftpd/{0} /etc/vdomainaliases /var/spool/cron",
        "directadmin": "/usr/local/directadmin/data/users/{0} /etc/virtual/nils.example /var/named/nils.example.db",
    }[lab.panel]
    for path in ["/home/" + user] + gone.format(user).split():
        place = lab.root + path
        shutil.rmtree(place) if os.path.isdir(place) else os.unlink(place)
    for name in ("/etc/passwd", "/etc/shadow"):
        lab.machine.write(name, "".join(line for line in lab.machine.read(name).splitlines(True) if not line.startswith(user + ":")))


def damage(lab, fault):
    if fault == "refused":
        lab.machine.switch(REFUSED[lab.panel], ABOUT[lab.panel][0])
    elif fault in ("server", "caller"):
        lab.machine.switch("dies_how", fault)
        lab.machine.switch("dies_in", ABOUT[lab.panel][4])


def repaired(lab):
    for name in (*REFUSED.values(), "dies_in"):
        lab.machine.switch(name, "")


@both
@pytest.mark.parametrize("mode, fault", [("full", "refused"), ("settings", "server"), ("full", "caller")])
def test_an_import_that_breaks_leaves_the_host_as_it_was_and_the_second_try_succeeds(lab, mode, fault):
    made = lab.export(mode)
    wanted = lab.inventory()
    assert made.verdict == "proven", made.findings
    lose(lab)
    since(lab)
    before = lab.state()
    damage(lab, fault)
    if fault == "caller":
        assert lab.elsewhere() == -9 and _standing.standing(lab.journal())["state"] == "changing"
        work = lab.restoring("other")
        with _restores.Held(lab.restores):
            assert work._recover() and work.recovered == [{"id": "restore", "status": "rolled-back"}]
    else:
        work = lab.restore()
        assert work.status == "rolled-back", work.findings
    assert lab.state() == before
    repaired(lab)
    work = lab.restore()
    assert work.status == "restored", work.findings
    assert [f.subject for f in _standing.needed(_standing.brought(wanted, None, mode), lab.inventory())] == []
    assert lab.server.sql("SELECT COUNT(*) FROM fresh", ABOUT[lab.panel][4]) == "1\n", "a table that only this host had stays"


@both
def test_settings_bring_an_account_back_and_leave_rows_messages_and_sites_of_today(lab):
    assert lab.export().verdict == "proven"
    user, database, site, message, shop = ABOUT[lab.panel]
    lose(lab)
    since(lab)
    work = lab.restore()
    assert work.status == "restored", work.findings
    assert lab.machine.read(site) == lab.machine.read(message) == "since"
    assert lab.server.sql("SELECT v FROM customers WHERE id = 99; SELECT COUNT(*) FROM fresh", shop) == "since\n1\n"
    # what this host had lost has its rows from the archive: there was nothing that these could be written over
    assert lab.server.sql("SELECT COUNT(*) FROM options", database) == "3\n" and user in lab.machine.read("/etc/passwd")


@both
def test_what_a_customer_gets_while_a_restore_works_stays_behind_the_way_back(lab):
    assert lab.export("full").verdict == "proven"
    lose(lab)
    message = os.path.dirname(ABOUT[lab.panel][3]) + "/came-meanwhile"
    damage(lab, "refused")

    def deliver(line):
        if "account 2 of" in line:
            lab.machine.write(message, "Subject: order\n")

    work = lab.restoring(tell=deliver)
    work.run(load=False, accept=["*"], force=True)
    assert work.status == "rolled-back", work.findings
    assert lab.machine.read(message) == "Subject: order\n"
    assert not os.path.exists(lab.root + "/home/" + ABOUT[lab.panel][0]), "the home of an account that was not here goes again"


@both
def test_a_kill_before_any_step_is_made_good_at_the_next_start(lab):
    """Every ninth thing that a restore writes, says or starts, from the first to the last."""
    assert lab.export().verdict == "proven"
    lose(lab)
    since(lab)
    before, kill, seen = lab.state(), 1, set()
    while True:
        name = "kill%d" % kill
        ended = lab.elsewhere(name, kill)
        assert ended in (-9, 0), ended
        if ended == 0:
            break
        at = _standing.standing(lab.journal(name) if os.path.isfile("%s/%s/journal.jsonl" % (lab.restores, name)) else [])
        seen.add(at["state"])
        assert at["verdict"] != "intact" or at["state"] == "closed"
        if at["state"] == "closed":
            break  # killed behind its end
        with _restores.Held(lab.restores):
            work = lab.restoring("next")
            assert work._recover(), work.findings
        assert lab.state() == before, (kill, at)
        assert _restores.cut(lab.restores) == []
        kill += 9
    assert seen >= {"none", "looking", "changing"} and kill > 40
