# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exim: its queue and log, its tables, its settings; a loss there is told as one on Postfix is."""

from __future__ import annotations

import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _exim, mail, queue, tls
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.recorded import told

OLD = "1uVuXZ-0003Ab-1c"
# 4.97 and later write longer ids
NEW = "1uVuXZ-00000003AbC-1cDe"
LISTED = """ 3d  1.2K %s <editor@orchard.test>%s
          kim@deadend.test
        D max@deadend.test

"""
ALIASES = """# by hand
root: anna
bakers: anna,
   carol
"quoted name": /dev/null
:include
"""
CONF = """# This is a Debian specific file
dc_eximconfig_configtype='internet'
dc_other_hostnames='shop1.lab.test:orchard.test ; riverside.test'
dc_relay_domains='partner.test'
dc_relay_nets=''
"""


def capture(listed, log=""):
    return queue.capture(FakeSystem({"exim4 -bp": listed}, files={"/var/log/exim4/mainlog": log}))


@pytest.mark.parametrize("queue_id", [OLD, NEW])
def test_the_queue_is_read_message_by_message(queue_id):
    found = capture(LISTED % (queue_id, " *** frozen ***"))
    assert found["server"] == "exim"
    assert found["items"] == {
        queue_id: {"sender": "editor@orchard.test", "recipients": ["kim@deadend.test"], "arrived": 1751213161, "size": 1228, "held": True, "reason": ""}
    }


def line(queue_id, words):
    """A line of Exim's log, a day after any look in these tests."""
    return "%s %s %s\n" % (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 86400)), queue_id, words)


@pytest.mark.parametrize("queue_id", [OLD, NEW])
@pytest.mark.parametrize(
    ("log", "evidence"),
    [
        (["=> kim@deadend.test R=hubbed", "Completed"], None),
        (["removed by root", "Completed"], "exim4 -Mrm"),
        (["cancelled by anna", "Completed"], "exim4 -Mrm"),
        ([], "knows nothing of its delivery"),
        (["== kim@deadend.test R=hubbed defer (111): Connection refused"], "knows nothing of its delivery"),
    ],
)
def test_a_message_that_is_not_there_any_more(queue_id, log, evidence):
    found = queue.compare(capture(LISTED % (queue_id, "")), capture("", "".join(line(queue_id, words) for words in log)))
    assert [(f.id, f.subject) for f in found] == ([("queue.message.lost", queue_id + " from editor@orchard.test to kim@deadend.test")] if evidence else [])
    if evidence:
        assert evidence in found[0].evidence and "/var/spool/exim4" in found[0].remedy and "postfix" not in found[0].remedy.lower()


def test_a_queue_that_stays_is_no_finding():
    before, after = capture(LISTED % (OLD, "")), capture((LISTED % (OLD, " *** frozen ***")).replace(" 3d", "25m"))
    assert queue.compare(before, after) == []


def tables(aliases=ALIASES, conf=CONF, hubbed="deadend.test: 172.30.1.1::9\n"):
    return {"items": _exim.items(FakeSystem({}, files={_exim.ALIASES: aliases, _exim.CONF: conf, _exim.HUBBED: hubbed}))}


def test_tables_are_read_entry_by_entry():
    found = tables()["items"]
    assert {name: item["value"] for name, item in found.items()} == {
        "alias root": "anna",
        "alias bakers": "anna, carol",
        "alias quoted name": "/dev/null",
        "transport deadend.test": "172.30.1.1::9",
        "exim dc_eximconfig_configtype": "internet",
        "exim dc_relay_nets": "",
        "domain shop1.lab.test": "local",
        "domain orchard.test": "local",
        "domain riverside.test": "local",
        "domain partner.test": "relay",
    }


@pytest.mark.parametrize(
    ("change", "expected", "path"),
    [
        ({"aliases": ALIASES.replace("bakers: anna,\n   carol\n", "")}, ("mail.alias.missing", "blocker", "alias bakers"), _exim.ALIASES),
        ({"aliases": ALIASES.replace("root: anna", "root: carol")}, ("mail.alias.changed", "blocker", "alias root"), _exim.ALIASES),
        ({"conf": CONF.replace(" ; riverside.test", "")}, ("mail.domain.missing", "blocker", "domain riverside.test"), _exim.CONF),
        ({"conf": CONF.replace("dc_relay_nets=''", "dc_relay_nets='0.0.0.0/0'")}, ("mail.setting.changed", "warning", "exim dc_relay_nets"), _exim.CONF),
        ({"hubbed": ""}, ("mail.transport.missing", "blocker", "transport deadend.test"), _exim.HUBBED),
    ],
)
def test_a_change_is_one_finding_and_explains_its_file(change, expected, path):
    (finding,) = mail.compare(tables(), tables(**change))
    assert told([finding]) == [expected]
    assert "Postfix" not in finding.title
    file = _compare.Finding(id="files.content.changed", severity="blocker", subject=path, title="t", evidence="e", remedy="r", details={"attribute": "content"})
    assert _compare.correlate([finding, file]) == [finding]


def test_a_mail_port_knows_the_certificate_that_exim_shows():
    said = "tls_certificate = /etc/ssl/hosting/mail.crt\ntls_privatekey = /etc/ssl/hosting/mail.key\n"
    system = FakeSystem({"exim4 -bP tls_certificate tls_privatekey": said})
    assert tls._mail_files(system) == {"smtp": ["/etc/ssl/hosting/mail.crt", "/etc/ssl/hosting/mail.key"]}
