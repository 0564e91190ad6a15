# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Queue: a message that left it was delivered, or is lost."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import queue
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


def entry(queue_id, to="kim@deadend.test", reason="connect to 127.0.0.1[127.0.0.1]:9: Connection refused", arrived=1):
    return json.dumps(
        {
            "queue_name": "deferred",
            "queue_id": queue_id,
            "arrival_time": arrived,
            "message_size": 462,
            "forced_expire": False,
            "sender": "editor@northwind.test",
            "recipients": [{"address": to, "delay_reason": reason}],
        }
    )


def capture(*entries, log=""):
    return queue.capture(FakeSystem({"postqueue -j": "\n".join(entries) + "\n", "journalctl": log}))


def test_messages_as_postfix_lists_them():
    found = capture(entry("E1A9C26400D"))
    assert found["items"]["E1A9C26400D"] == {
        "sender": "editor@northwind.test",
        "recipients": ["kim@deadend.test"],
        "arrived": 1,
        "size": 462,
        "held": False,
        "reason": "refused",
    }
    assert found["summary"] == {"messages": 1, "bytes": 462}


# After the look before, however long a busy machine takes to come to these tests.
LOG = "%d.123456 web1 postfix/%%s[12]: E1A9C26400D: %%s\n" % (time.time() + 86400)
SENT = "to=<kim@deadend.test>, relay=mx, status=sent (250 ok)"


@pytest.mark.parametrize(
    ("after", "log", "expected"),
    [
        ([entry("E1A9C26400D", reason="timed out")], "", []),
        ([], LOG % ("smtp", "to=<kim@deadend.test>, relay=mx, status=sent (250 ok)"), []),
        ([], LOG % ("bounce", "x, status=bounced (no such user)"), []),
        ([], LOG % ("qmgr", "from=<editor@northwind.test>, status=expired, returned to sender"), []),
        ([], LOG % ("smtp", SENT.replace("kim", "Kim")), []),
        # the id was another message's, or is now
        ([], LOG % ("smtp", SENT.replace("kim", "somebody")), ["queue.message.lost"]),
        ([], "1700000000.000001 web1 postfix/smtp[12]: E1A9C26400D: %s\n" % SENT, ["queue.message.lost"]),
        ([], "web1 postfix/smtp[12]: E1A9C26400D: %s\n" % SENT, ["queue.message.lost"]),
        ([entry("E1A9C26400D", arrived=2)], "", ["queue.message.lost"]),
        ([entry("E1A9C26400D", arrived=2)], LOG % ("smtp", SENT), []),
        # sent, then its id was given to another, which was deleted
        ([], LOG % ("smtp", SENT) + LOG % ("smtp", SENT.replace("kim", "somebody")) + LOG % ("postsuper", "removed"), []),
        ([], "", ["queue.message.lost"]),
        ([], LOG % ("smtp", "to=<kim@deadend.test>, status=deferred (refused)"), ["queue.message.lost"]),
        ([], LOG % ("postsuper", "removed"), ["queue.message.lost"]),
        # the same message under another queue id
        ([entry("FFFFFFFFFFF")], "", []),
        ([entry("E1A9C26400D"), entry("AAAAAAAAAAA", "x@y.test", arrived=2)], "", []),
    ],
)
def test_a_message_that_is_not_there_any_more(after, log, expected):
    found = queue.compare(capture(entry("E1A9C26400D")), capture(*after, log=log))
    assert [f.id for f in found] == expected
    for finding in found:
        assert finding.subject == "E1A9C26400D from editor@northwind.test to kim@deadend.test"
        assert ("postsuper" in finding.evidence) == ("postsuper" in log)


def test_of_two_equal_messages_one_is_lost():
    found = queue.compare(capture(entry("AAAAAAAAAAA"), entry("BBBBBBBBBBB")), capture(entry("BBBBBBBBBBB")))
    assert [f.subject.split()[0] for f in found] == ["AAAAAAAAAAA"]
    assert queue.compare(capture(entry("AAAAAAAAAAA"), entry("BBBBBBBBBBB")), capture(entry("CCCCCCCCCCC"), entry("DDDDDDDDDDD"))) == []


def test_a_message_that_reached_one_of_its_recipients_before_is_not_sent():
    # the line is older than the earlier look, though newer than the message
    before = capture(entry("E1A9C26400D"))
    before["looked"] += 2 * 86400
    assert [f.id for f in queue.compare(before, capture(log=LOG % ("smtp", SENT)))] == ["queue.message.lost"]


def test_a_message_that_was_deleted_before_all_recipients_had_it():
    two = json.loads(entry("E1A9C26400D"))
    two["recipients"].append({"address": "max@deadend.test", "delay_reason": ""})
    (finding,) = queue.compare(capture(json.dumps(two)), capture(log=LOG % ("smtp", SENT) + LOG % ("postsuper", "removed")))
    assert "deleted with postsuper" in finding.evidence


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1795352681.123456 web1 postfix/smtp[1]: x", 1795352681),
        ("2026-11-22T13:04:41.123456+00:00 web1 postfix/smtp[1]: x", 1795352681),
        ("2026-11-22T14:04:41+01:00 web1 x", 1795352681),
        ("Nov 22 13:04:41 web1 postfix/smtp[1]: x", 1795352681),
        ("Dec  1 13:04:41 web1 postfix/smtp[1]: x", 1795352681 - 356 * 86400),
        ("2026-11-22 13:04:41 1t5C6f-0000c8-00 Completed", 1795352681),
        ("2026-11-22 14:04:41.123 +0100 1t5C6f-0000c8-00 Completed", 1795352681),
        ("Nov 99 13:04:41 x", None),
        ("web1 postfix/smtp[1]: x", None),
        ("", None),
    ],
)
def test_when_a_log_line_was_written(monkeypatch, line, expected):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert queue.moment(line, 1795352700) == expected


def test_a_whole_queue_that_vanished_is_one_finding():
    (finding,) = queue.compare(capture(*[entry("A%09d" % n, arrived=n) for n in range(9)]), capture())
    assert (finding.id, finding.subject) == ("queue.messages.lost", "mail queue") and finding.evidence.startswith("9 of 9")


def test_mail_that_piles_up():
    (finding,) = queue.compare(capture(), capture(*[entry("A%09d" % n, arrived=n) for n in range(99)]))
    assert (finding.id, finding.severity) == ("queue.grown", "warning") and "refused" in finding.evidence


def test_queue_that_cannot_be_read():
    with pytest.raises(IntactError, match="mail system is down"):
        queue.capture(FakeSystem({"postqueue -j": (69, "", "postqueue: fatal: mail system is down")}))
    assert queue.capture(FakeSystem()) is None


def test_exim():
    listing = "25m  2.9K 0t5C6f-0000c8-00 <alice@wonderland.test>\n          red.king@looking-glass.test\n\n"
    listing += " 3d  1.2K 1u5C6f-0000c8-01 <> *** frozen ***\n          bob@b.test\n"
    found = queue.capture(FakeSystem({"exim4 -bp": listing}))
    assert found["items"]["0t5C6f-0000c8-00"]["recipients"] == ["red.king@looking-glass.test"]
    assert found["items"]["1u5C6f-0000c8-01"]["held"] is True and found["server"] == "exim"


@pytest.mark.parametrize(
    ("reason", "word"),
    [("Connection timed out", "timeout"), ("Host or domain name not found", "name"), ("", ""), ("greylisted, try later", "greylisted"), ("strange", "other")],
)
def test_reasons(reason, word):
    assert queue.classify([reason] if reason else []) == word
