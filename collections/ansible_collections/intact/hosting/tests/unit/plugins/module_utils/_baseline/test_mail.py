# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mail: mailboxes read from the disk, postfix's tables, what ports offer, and the difference between lost, moved and new mail."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mailboxes, _mailports, mail
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

MESSAGE = b"From: a@test\nSubject: Weather\nX-Long: one\n two\n\nIt rains.\n>From here on it is text.\n"
STATE = (
    b"From: a@test\nStatus: RO\nX-Status: AF\nX-UID: 17\nX-Keywords: one\n two\nSubject: Weather\nX-Long: one\n two\n\nIt rains.\n>From here on it is text.\n"
)


def test_a_message_is_the_same_in_every_format():
    assert (
        _mailboxes.message_id(MESSAGE)
        == _mailboxes.message_id(STATE)
        == _mailboxes.message_id(MESSAGE.replace(b"\n", b"\r\n"))
        == _mailboxes.message_id(MESSAGE + b"\n")
    )
    assert _mailboxes.message_id(MESSAGE) != _mailboxes.message_id(MESSAGE.replace(b"rains", b"snows"))


def test_mbox_is_cut_at_separators_only():
    internal = b"From MAILER-DAEMON Sat Mar  2 08:00:00 2024\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
    internal += b"X-IMAP: 1 2\n\nThis text is part of the folder.\n\n"
    box = (
        internal
        + b"From a@test Sat Mar  2 08:00:00 2024\n"
        + STATE
        + b"\nFrom b@test Sat Mar  2 09:00:00 2024\nSubject: 2\n\nFrom now on no separator\n\nFrom me to you.\n"
    )
    found = list(_mailboxes.mbox_messages(box))
    assert [flags for _id, flags in found] == [{"seen", "answered", "flagged"}, set()]
    assert found[0][0] == _mailboxes.message_id(MESSAGE)
    assert list(_mailboxes.mbox_messages(b"")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Sent\nArchive.2022\n", ["Archive/2022", "Sent"]), ("V\t2\n\nArchive\t2022\nSent\n", ["Archive/2022", "Sent"]), ("family/2019\n", ["family/2019"])],
)
def test_subscriptions_of_both_formats(text, expected):
    assert _mailboxes.subscriptions(text) == expected


class Host(FakeSystem):
    """Real files; commands are recorded."""

    read, lstat, listdir, exists, readlink, glob = System.read, System.lstat, System.listdir, System.exists, System.readlink, System.glob

    def text(self, path):
        return System.text(self, path) if path.startswith("/tmp") else ""


@pytest.fixture
def post(tmp_path):
    """One Maildir user and one mbox user, and a capture of them."""
    box = tmp_path / "anna" / "Maildir"
    for folder in (".", ".Sent", ".Archive.2022"):
        for part in ("cur", "new", "tmp"):
            (box / folder / part).mkdir(parents=True)
        for number in range(5):
            (box / folder / "cur" / ("%d.M1.host,S=9:2,%s" % (number, "S" if number else ""))).write_bytes(MESSAGE + b"%s %d" % (folder.encode(), number))
    (box / "subscriptions").write_text("Sent\n")
    (box.parent / "sieve").mkdir()
    (box.parent / "sieve" / "main.sieve").write_text("keep;")
    (box.parent / ".dovecot.sieve").symlink_to("sieve/main.sieve")
    spool = tmp_path / "spool"
    (tmp_path / "carol" / "mail" / "family").mkdir(parents=True)
    for path in (spool, tmp_path / "carol" / "mail" / "family" / "2019"):
        path.write_bytes(b"".join(b"From a@test Sat Mar  2 08:00:0%d 2024\nStatus: RO\nSubject: %d\n\nText\n\n" % (n, n) for n in range(3)))
    root = str(tmp_path)

    def capture(**options):
        paths = {
            "INBOX": "Username\tpath\nanna\t%s/anna/Maildir\ncarol\t%s/spool\nnobody\t/nonexistent/x\n" % (root, root),
            "intactprobe": "Username\tpath\nanna\t%s/anna/Maildir/.intactprobe\ncarol\t%s/carol/mail/intactprobe\nnobody\t/nonexistent/intactprobe\n"
            % (root, root),
        }
        system = Host({"doveadm": lambda argv, stdin: paths[argv[-1]], "doveconf -n": ""}, options=dict({"ports": []}, **options))
        return dict(mail.capture(system), unlooked=system.unlooked)

    return tmp_path, capture


def test_mailboxes_of_both_kinds_are_read(post):
    _root, capture = post
    found = capture()
    assert sorted(found["items"]) == ["anna", "carol"]
    anna = found["items"]["anna"]
    assert {name: f["messages"] for name, f in anna["folders"].items()} == {"INBOX": 5, "Sent": 5, "Archive/2022": 5}
    assert anna["folders"]["INBOX"]["flags"] == {"seen": 4} and anna["active"] == "main.sieve" and "sieve/main.sieve" in anna["filters"]
    assert {name: f["messages"] for name, f in found["items"]["carol"]["folders"].items()} == {"INBOX": 3, "family/2019": 3}
    assert found["summary"] == {"mailboxes": 2, "folders": 5, "messages": 21, "aliases and addresses": 0}


def remove_folder(root):
    for path in sorted((root / "anna" / "Maildir" / ".Sent").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (root / "anna" / "Maildir" / ".Sent").rmdir()


def change(root, path, old, new):
    (file,) = root.glob(path)
    file.write_bytes(file.read_bytes().replace(old, new))


def renamed(root, path, name):
    (file,) = root.glob(path)
    (root / name).parent.mkdir(exist_ok=True, parents=True)
    file.rename(root / name)


CUR = "anna/Maildir/cur/"


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda root: None, []),
        (remove_folder, [("mail.folder.missing", "anna: Sent")]),
        (lambda root: next(root.glob(CUR + "3.*")).unlink(), [("mail.messages.lost", "anna: INBOX")]),
        (lambda root: change(root, CUR + "3.*", b"rains", b"snows"), [("mail.messages.changed", "anna: INBOX")]),
        # read, moved to another folder, answered, new mail: what customers do
        (lambda root: renamed(root, CUR + "0.*", CUR + "0.M1.host,S=9:2,S"), []),
        (lambda root: renamed(root, CUR + "3.*", "anna/Maildir/.Sent/cur/99.M1.host,S=9:2,S"), []),
        (lambda root: (root / "anna/Maildir/new/77.M1.host").write_bytes(MESSAGE), []),
        (lambda root: [renamed(root, CUR + "%d.*" % n, "anna/Maildir/new/%d.M1.host" % n) for n in range(5)], [("mail.flags.lost", "anna: INBOX")]),
        (lambda root: (root / "spool").write_bytes((root / "spool").read_bytes().replace(b"Status: RO\n", b"Status: RO\nX-UID: 5\n")), []),
        (
            lambda root: (root / "spool").write_bytes((root / "spool").read_bytes().replace(b"Subject: 1", b"Subject: X")),
            [("mail.messages.changed", "carol: INBOX")],
        ),
        (lambda root: (root / "carol/mail/family/2019").unlink(), [("mail.folder.missing", "carol: family/2019")]),
        (lambda root: (root / "anna/.dovecot.sieve").unlink(), [("mail.filter.changed", "anna")]),
        (lambda root: (root / "anna/sieve/main.sieve").write_text("discard;"), [("mail.filter.changed", "anna")]),
        (lambda root: (root / "anna/Maildir/subscriptions").write_text(""), [("mail.subscriptions.lost", "anna")]),
        (lambda root: (root / "anna").rename(root / "anna.moved"), [("mail.mailbox.missing", "anna")]),
    ],
)
def test_one_finding_for_one_event(post, act, expected):
    root, capture = post
    before = capture()
    act(root)
    assert [(f.id, f.subject) for f in mail.compare(before, capture())] == expected


@pytest.mark.parametrize(
    "new, expected",
    [
        ({}, []),
        ({0: b"other"}, [("mail.messages.changed", "blocker")]),
        ({0: b"other", 9: b"more"}, [("mail.messages.uncertain", "warning")]),
        ({0: None}, [("mail.messages.lost", "blocker")]),
        ({0: None, 8: b"more", 9: b"more"}, [("mail.messages.uncertain", "warning")]),
    ],
)
def test_a_folder_too_large_to_list_is_not_silent(post, new, expected):
    root, capture = post
    before = capture(messages_listed=3)
    for number, content in new.items():
        path = root / "anna" / "Maildir" / ".Sent" / "cur" / ("%d.M1.host,S=9:2,%s" % (number, "S" if number else ""))
        path.unlink() if content is None else path.write_bytes(MESSAGE + content)
    assert [(f.id, f.severity) for f in mail.compare(before, capture(messages_listed=3))] == expected


def test_more_mail_than_the_limit_is_known_by_name_and_said(post):
    root, capture = post
    before = capture(content_bytes=100)
    assert "too much mail" in before["unlooked"][0]["why"]
    next(root.glob(CUR + "3.*")).unlink()
    found = mail.compare(before, capture(content_bytes=100))
    assert [(f.id, f.subject) for f in found] == [("mail.messages.lost", "anna: INBOX")]


POSTFIX = {
    "postconf -n": "virtual_alias_maps = hash:/etc/postfix/virtual\nvirtual_mailbox_domains = a.test, b.test\nsmtpd_tls_security_level = may\n",
    "postconf -x": "virtual_alias_maps = hash:/etc/postfix/virtual\nvirtual_mailbox_domains = a.test, b.test\nalias_maps = \n",
    "postmap -s": "info@a.test\tanna@a.test, carol\n",
}


def postfix(**answers):
    return {"items": mail.capture(FakeSystem(dict(POSTFIX, **answers), options={"ports": []}))["items"]}


def test_postfix_tables_and_settings():
    items = postfix()["items"]
    assert items["alias info@a.test"]["value"] == "anna@a.test, carol" and "domain b.test" in items
    assert items["postfix smtpd_tls_security_level"]["value"] == "may" and "postfix virtual_mailbox_domains" not in items


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, []),
        ({"postmap -s": "info@a.test\tcarol,  anna@a.test\n"}, []),
        ({"postmap -s": "info@a.test\teve@evil.test\n"}, [("mail.alias.changed", "blocker", "alias info@a.test")]),
        ({"postmap -s": ""}, [("mail.alias.missing", "blocker", "alias info@a.test")]),
        ({"postmap -s": (1, "", "postmap: fatal: unsupported dictionary type: hash")}, [("mail.table.unread", "blocker", "table /etc/postfix/virtual")]),
        ({"postconf -n": POSTFIX["postconf -n"].replace("may", "encrypt")}, [("mail.setting.changed", "warning", "postfix smtpd_tls_security_level")]),
        ({"postconf -x": POSTFIX["postconf -x"].replace(", b.test", "")}, [("mail.domain.missing", "blocker", "domain b.test")]),
    ],
)
def test_postfix_changes(answers, expected):
    assert [(f.id, f.severity, f.subject) for f in mail.compare(postfix(), postfix(**answers))] == expected


class Script:
    """A socket that plays a server's lines."""

    def __init__(self, text):
        self.text, self.sent = text.encode(), b""

    def recv(self, count):
        out, self.text = self.text[:count], self.text[count:]
        return out

    def sendall(self, data):
        self.sent += data


@pytest.mark.parametrize(
    ("protocol", "text", "expected"),
    [
        (
            "smtp",
            "220-wait\r\n220 mx ESMTP\r\n250-mx\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",
            {"greeting": "220", "starttls": True, "auth": ["LOGIN", "PLAIN"]},
        ),
        (
            "imap",
            "* OK [CAPABILITY IMAP4rev1] ready\r\n* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\na OK done\r\n",
            {"greeting": "* OK", "starttls": True, "auth": ["PLAIN"], "login": True},
        ),
        ("pop3", "+OK ready\r\n+OK\r\nSTLS\r\nSASL PLAIN\r\n.\r\n", {"greeting": "+OK", "starttls": True, "auth": ["PLAIN"]}),
        ("sieve", '"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK "ready"\r\n', {"greeting": "OK", "starttls": True, "auth": ["PLAIN"]}),
    ],
)
def test_what_ports_offer(protocol, text, expected):
    assert _mailports.talk(_mailports.Dialogue(Script(text)), protocol) == expected


SMTP = {"kind": "port", "protocol": "smtp", "greeting": "220", "starttls": True, "auth": ["LOGIN", "PLAIN"]}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (SMTP, []),
        (None, ["mail.port.unanswered"]),
        ({"kind": "port", "protocol": "smtp", "error": "no answer in time"}, ["mail.port.unanswered"]),
        (dict(SMTP, starttls=False), ["mail.port.changed"]),
        (dict(SMTP, auth=["PLAIN"]), ["mail.port.changed"]),
        (dict(SMTP, auth=["LOGIN", "PLAIN", "XOAUTH2"]), ["mail.port.more"]),
    ],
)
def test_ports_that_offer_less(after, expected):
    new = {"items": {"port 587": copy.deepcopy(after)} if after else {}}
    assert [f.id for f in mail.compare({"items": {"port 587": SMTP}}, new)] == expected


MUTE = {"kind": "port", "protocol": "smtp", "error": "no answer in time"}


def test_what_did_not_answer_before_either_is_said():
    items = {"port 587": MUTE, "table /etc/aliases": {"kind": "table", "path": "/etc/aliases", "error": "unsupported type"}}
    found = mail.compare({"items": items}, {"items": items})
    assert [(f.id, f.severity) for f in found] == [("mail.port.unanswered.before", "warning"), ("mail.table.unread.before", "warning")]
    assert [f.id for f in mail.compare({"items": {"port 587": MUTE}}, {"items": {}})] == ["mail.port.unanswered.before"]
    assert [f.id for f in mail.compare({"items": {}}, {"items": {"port 587": MUTE}})] == ["mail.port.new"]


def test_host_without_mail():
    assert mail.capture(FakeSystem()) is None
