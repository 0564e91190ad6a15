# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own reading of mbox files, and names of folders."""

from __future__ import annotations

import io
import types

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_mailboxes, _mail_names, _mail_old, _maildir, _mbox, mail
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import mail_lab

FROM = "From a@example.com Mon Jan  7 10:00:00 2008\n"


def read(text):
    data = text.encode("latin-1")
    box = _mbox.Mbox(io.BytesIO(data))
    found = list(box.messages())
    return box, found, data


def test_messages_end_where_the_next_one_begins():
    _box, found, data = read(FROM + "Message-ID: <1@x>\n\none\n\n" + FROM + "Message-ID: <2@x>\n\n>From here\nFrom time to time\n\n")
    assert [m["id"] for m in found] == [b"<1@x>", b"<2@x>"]
    assert found[0]["end"] == found[1]["start"] and found[1]["end"] == len(data)


@pytest.mark.parametrize(
    "line",
    [
        "From a Mon Jan  7 10:00:00 2008",
        "From a@b Mon Jan 17 10:00 2008",
        "From a Mon Jan  7 10:00:00 CET 2008",
        'From "a b"@c Mon Jan  7 10:00:00 2008',
        "From  Mon Jan  7 10:00:00 2008",
        "From - Mon Jan  7 10:00:00 +0100 2008",
        "From a@b Fri, 21 Nov 1997 09:55:06 -0600",
    ],
)
def test_kinds_of_from_lines(line):
    assert len(read(line + "\nSubject: a\n\nb\n\n" + line + "\nSubject: c\n\nd\n")[1]) == 2


@pytest.mark.parametrize(("more", "count"), [(0, 2), (1, 3), (-1, 3), (10000, 3)])
def test_content_length_is_believed_only_where_it_is_true(more, count):
    body = "a\n\n" + FROM + "inside\n"
    text = FROM + "Subject: a\nContent-Length: %d\n\n%s\n" % (len(body) + more, body) + FROM + "Subject: c\n\nd\n"
    assert len(read(text)[1]) == count


def test_flags_numbers_and_the_internal_message():
    text = FROM + "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1199700000 0000000042\n\nno\n\n"
    text += FROM + "Subject: a\nStatus: RO\nX-Status: AT\nX-UID: 7\n\nb\n"
    box, found, _data = read(text)
    assert (box.validity, box.next_uid, box.internal) == (1199700000, 43, 1)
    assert [(m["uid"], m["flags"]) for m in found] == [(7, {"seen", "answered", "draft"})]


def test_digest_is_blind_to_what_servers_change_and_to_nothing_else():
    base = b"Subject: a\nX-Long: " + b"x" * 200000 + b"\n\nbody\n\nmore"
    same = [
        base + b"\n\n\n",
        base.replace(b"\n", b"\r\n"),
        b"Status: RO\nX-UID: 7\n" + base,
        b"X-Keywords: a\n b\n" + base + b"\n",
    ]
    assert {_mbox.digest_of(data) for data in same} == {_mbox.digest_of(base)}
    for other in (
        base + b"x",
        base.replace(b"body", b"b0dy"),
        base.replace(b"a\n", b"b\n", 1),
        base.replace(b"xx\n", b"x\n"),
        base.replace(b"y\n\nm", b"y\nm"),
    ):
        assert _mbox.digest_of(other) != _mbox.digest_of(base)


def test_digest_is_the_same_in_pieces():
    data = b"Subject: a\r\nStatus: " + b"R" * 200000 + b"\r\nTo: b\r\n\r\n" + b"line " * 50000 + b"\r\n\r\nend"
    box = _mbox.Mbox(io.BytesIO(FROM.encode() + data + b"\r\n"))
    assert [m["digest"] for m in box.messages()] == [_mbox.digest_of(data)]


def test_what_is_no_mbox_is_told():
    box, found, _data = read("hello\n" + FROM + "Subject: a\n\nb\n")
    assert found == [] and box.oddities


def test_cleanarch_counts():
    assert _mbox.count_from(io.BytesIO((FROM + "\nFrom here\n" + FROM).encode())) == (2, 1)


@pytest.mark.parametrize("text", ["INBOX", "Entw\xfcrfe", "a&b", "\u53f0\u5317", "x \u20ac y", "\U0001f4e7 mail"])
def test_modified_utf7_there_and_back(text):
    assert _mail_names.decode(_mail_names.encode(text)) == text


def test_names_on_the_live_server():
    names = _mail_names.Names(".", "INBOX.")
    assert names.imap((b"work", b"2008")) == "INBOX.work.2008"
    assert names.imap((b"a.b",)) == "INBOX.a_b" and names.imap((b"a_b",)) == "INBOX.a_b_2"
    assert names.imap((b"Entw\xfcrfe",)) == names.imap((b"Entw\xfcrfe",)) == "INBOX.Entw&APw-rfe"
    assert names.imap((b"~joe",)) == "INBOX._joe" and names.imap(()) == "INBOX"
    assert names.renamed == {"a.b": "a_b", "a_b": "a_b_2", "~joe": "_joe"}


def test_uid_lists(monkeypatch):
    assert _maildir.parse_uids(b"3 V120 N31 Gabc\n12 G1 W5 :1.a\n30 :2.b:2,S\n") == (120, 31, {b"1.a": 12, b"2.b": 30})
    assert _maildir.parse_uids(b"1 120 31\n12 1.a\n30 2.b:2,S\n") == (120, 31, {b"1.a": 12, b"2.b": 30})
    assert _maildir.parse_uids(_maildir.dovecot_list(120, 31, {b"1.a": 12})) == (120, 31, {b"1.a": 12})
    assert _maildir.parse_uids(b"rubbish") == (0, 0, {})
    monkeypatch.setattr(_maildir, "LIST_LINES", 1)
    assert _maildir.parse_uids(b"1 120 31\n12 1.a\n30 2.b:2,S\n") == (0, 0, {}), "nobody's list, but somebody's way to our memory"


def test_mail_of_the_spool_that_can_not_be_read_is_not_passed_over(tmp_path, monkeypatch):
    old = mail_lab.OldDisk(tmp_path / "old")
    for name in ("joe", "ann", "eve", "bob", "tim"):
        old.user(name)
    old.write("/var/mail/joe", mail_lab.message(1))
    old.write("/var/mail/ann", b"\0" * 4096 + mail_lab.message(1).encode())
    old.write("/var/mail/eve/cur/1.a:2,S", "Subject: in a Maildir\n\nx\n")
    old.write("/var/mail/bob/1", "Subject: in an MH folder\n\nx\n")
    old.write("/var/mail/tim", "")
    old.write("/var/mail/gone", mail_lab.message(1))
    context = mail_lab.StandIn(old.root, tmp_path / "migration")
    stores, strange = _mail_old.stores(context)
    assert [(s.user, s.kind, sum(len(_mail_old.read(context, s, f)["messages"]) for f in s.folders)) for s in stores] == [
        ("eve", "maildir", 1),
        ("joe", "mbox", 1),
    ]
    assert [subject for subject, _why in strange] == ["/var/mail/ann", "/var/mail/bob", "mbox /var/mail/gone"]
    assert set(_class_mailboxes.old(context)) == {"joe/INBOX", "eve/INBOX", "/var/mail/ann", "/var/mail/bob"}
    monkeypatch.setattr(mail._mail_live, "Live", lambda *_what: types.SimpleNamespace(there=lambda: False))
    this = mail.Run(context, check=True)
    mail._mailboxes(this)
    assert [line["subject"] for line in this.explained] == ["mbox /var/mail/gone"]
