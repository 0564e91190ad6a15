# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Old mbox files and Maildirs into a real Dovecot: numbers, flags, names, what is there already, and a run that was cut off."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_mailboxes, _mail_import, _mail_live, _mail_stage, _mbox, mail
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import mail_lab

INTERNAL = (
    "From MAILER-DAEMON Mon Jan  7 10:00:00 2008\nFrom: Mail System Internal Data <MAILER-DAEMON@old>\n"
    "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1199700000 0000000042 Junk\nStatus: RO\n\nThis text is internal.\n\n"
)
TRICKY = "hello\n\nFrom nobody Tue Jan  8 11:00:00 2008\ninside the body\n>From quoted\n"


def box():
    """Three messages with numbers and flags, one of them with a From_ line in its body that only Content-Length keeps inside."""
    return (
        INTERNAL
        + mail_lab.message(1, "Status: RO\nX-Status: AF\nX-UID: 7\n")
        + mail_lab.message(2, "X-UID: 9\nContent-Length: %d\n" % len(TRICKY), TRICKY)
        + mail_lab.message(3, "X-UID: 40\n", "gr\xfc\xdfe\n")
    ).encode("latin-1")


@pytest.fixture(scope="module", params=["maildir", "mbox"])
def dovecot(request):
    mail_lab.need()
    # users' processes must reach it: pytest's own directories are closed to them
    directory = tempfile.mkdtemp(prefix="intact-dovecot-", dir="/tmp")
    running = None
    try:
        running = mail_lab.Dovecot(directory, request.param)
        yield running
    finally:
        if running is not None:
            running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def lab(dovecot):
    """The same Dovecot for all tests, without users."""
    dovecot.empty()
    return dovecot


@pytest.fixture
def old(tmp_path):
    disk = mail_lab.OldDisk(tmp_path / "old")
    disk.user("joe")
    disk.write("/var/mail/joe", box(), 0o600)
    disk.write("/home/joe/mail/work/2008", box())
    disk.write("/home/joe/mail/Entw\xfcrfe".encode("latin-1"), box())
    disk.write("/home/joe/mail/a.b", mail_lab.message(11) + mail_lab.message(12))
    disk.write("/home/joe/mail/.subscriptions", "work/2008\n")
    os.symlink("/etc/shadow", disk.root + "/home/joe/mail/stolen")
    return disk


@pytest.fixture
def context(lab, old, tmp_path):
    return mail_lab.StandIn(old.root, tmp_path / "migration", dovecot_config=lab.config)


def ids(document):
    return sorted(entry["id"] for entry in document["findings"] if entry["severity"] == "blocker")


def test_numbers_flags_and_names_are_kept(lab, old, context):
    lab.user("joe")
    before = old.state()
    document = mail.run(context)
    assert ids(document) == [] and document["status"] == "done", document["findings"]
    assert document["counts"]["messages imported"] == 11
    assert old.state() == before
    assert lab.status("joe")["uidvalidity"] == 1199700000
    told = lab.doveadm("-f", "tab", "fetch", "-u", "joe", "uid flags hdr.message-id", "mailbox", "INBOX").splitlines()[1:]
    rows = [line.split("\t") for line in told]
    assert [(row[0], row[2]) for row in rows] == [("7", "<1@example.com>"), ("9", "<2@example.com>"), ("40", "<3@example.com>")]
    assert {"\\Answered", "\\Flagged", "\\Seen"} <= set(rows[0][1].split()) and "\\Seen" not in rows[1][1]
    names = set(lab.doveadm("mailbox", "list", "-u", "joe").splitlines())
    separator = "." if lab.kind == "maildir" else "/"
    assert "Entw\xfcrfe" in names and "work%s2008" % separator in names and not any("stolen" in name for name in names)
    assert ("a_b" if lab.kind == "maildir" else "a.b") in names
    assert lab.doveadm("mailbox", "list", "-u", "joe", "-s").split() == ["work%s2008" % separator]
    assert _class_mailboxes.old(context) == _class_mailboxes.new(context)
    assert not os.listdir(_mail_stage.STAGES)


F = "From a@example.com Mon Jan  7 10:00:00 2008\n"
INSIDE = "a\n\n" + F + "inside\n"
ONE = "Subject: a\n\nb\n"


@pytest.mark.parametrize("dovecot", ["mbox"], indirect=True)
def test_dovecot_and_we_see_the_same_messages(lab):
    """The parser is held against Dovecot's: where they differ a migration would miss messages that nobody lost."""
    texts = [F + "Subject: a\nContent-Length: %d\n\n%s\n" % (len(INSIDE) + more, INSIDE) + F + ONE for more in (0, 1, 2, -1, -2, 9999)]
    ends = ("a b c Mon Jan  7 10:00:00 2008", "x Fri, 21 Nov 1997 09:55:06 -0600", "x Mon Jan 7 10:00 2008", "here to there", " Mon Jan  7 10:00:00 2008")
    for end in (*ends, "x Mon Jan  7 10:00:00 CET 2008", "- Mon Jan  7 10:00:00 +0100 2008", "x Mon Jan  7 10:00:00 2008 remote from y"):
        texts += [F + ONE + "\nFrom " + end + "\n" + ONE, F + ONE + "From " + end + "\n" + ONE]
    texts += [F + "Content-Length: 2\n\nb\n", F + "Subject: a\n" + F + ONE, (F + ONE + "\n" + F + ONE).replace("\n", "\r\n")]
    lab.user("joe")
    folder = lab.directory + "/home/joe/mail"
    os.mkdir(folder)
    os.chown(folder, mail_lab.UID, mail_lab.UID)
    for number, text in enumerate(texts):
        path = "%s/t%d" % (folder, number)
        with open(path, "w") as handle:
            handle.write(text)
        os.chown(path, mail_lab.UID, mail_lab.UID)
    told = lab.doveadm("mailbox", "status", "-u", "joe", "messages", "t*").splitlines()
    theirs = {line.split()[0]: int(line.split("=")[1]) for line in told}
    ours = {"t%d" % n: len(list(_mbox.Mbox(io.BytesIO(text.encode())).messages())) for n, text in enumerate(texts)}
    assert {name: (count, ours[name], texts[int(name[1:])]) for name, count in theirs.items() if ours[name] != count} == {}
    assert len(theirs) == len(texts)


def test_second_run_changes_nothing_and_what_was_deleted_stays_so(lab, context):
    lab.user("joe")
    mail.run(context)
    lab.doveadm("expunge", "-u", "joe", "mailbox", "INBOX", "uid", "7")
    document = mail.run(context)
    assert document["counts"]["messages imported"] == 0 and not document["changed"]
    assert lab.status("joe")["messages"] == 2
    # the reconciliation tells of it: it knows nothing of states
    assert _class_mailboxes.old(context)["joe/INBOX"] != _class_mailboxes.new(context)["joe/INBOX"]


def test_mail_that_arrived_meanwhile_is_kept(lab, context):
    lab.user("joe")
    lab.doveadm("save", "-u", "joe", "-m", "INBOX", data=b"Message-ID: <new@example.com>\nSubject: new\n\nnew\n")
    document = mail.run(context)
    assert ids(document) == [] and lab.status("joe")["messages"] == 4
    assert _class_mailboxes.old(context) == _class_mailboxes.new(context)


def test_half_imported_is_continued_and_not_doubled(lab, old, context):
    lab.user("joe")
    # as if a run was cut off after it had brought two of three
    for number, body in ((1, "body 1\n"), (2, TRICKY)):
        data = "Message-ID: <%d@example.com>\nSubject: no %d\n\n%s" % (number, number, body)
        lab.doveadm("save", "-u", "joe", "-m", "INBOX", data=data.encode())
    document = mail.run(context)
    assert ids(document) == [] and document["counts"]["messages imported"] == 9
    assert lab.status("joe")["messages"] == 3
    for path in os.listdir(os.path.join(context.directory, "mail.d", "users")):
        # a run that died before its state was written
        os.unlink(os.path.join(context.directory, "mail.d", "users", path))
    assert mail.run(context)["counts"]["messages imported"] == 0
    assert lab.status("joe")["messages"] == 3


def test_cut_off_in_the_middle_is_continued(lab, context, monkeypatch):
    lab.user("joe")
    real, calls = _mail_live.Live.sync, []

    def broken(self, user, location):
        calls.append(location)
        real(self, user, location)
        raise KeyboardInterrupt

    monkeypatch.setattr(_mail_live.Live, "sync", broken)
    with pytest.raises(KeyboardInterrupt):
        mail.run(context)
    monkeypatch.setattr(_mail_live.Live, "sync", real)
    document = mail.run(context)
    assert ids(document) == [] and document["counts"]["messages imported"] == 0 and lab.status("joe")["messages"] == 3


@pytest.mark.parametrize("after", [False, True])
def test_what_sync_can_not_do_is_appended(lab, context, monkeypatch, after):
    lab.user("joe")
    real = _mail_live.Live.sync

    def broken(self, user, location):
        if after:
            real(self, user, location)
        raise IntactError("doveadm sync died")

    monkeypatch.setattr(_mail_live.Live, "sync", broken)
    document = mail.run(context)
    assert ids(document) == [] and lab.status("joe")["messages"] == 3, document["findings"]
    assert not [e for e in document["findings"] if e["id"] in ("migration.mail.flags.differ", "migration.mail.messages.doubled")]
    assert _class_mailboxes.old(context) == _class_mailboxes.new(context)
    assert bool([e for e in document["findings"] if e["id"] == "migration.mail.uids.new"]) is not after


def test_what_a_killed_run_staged_is_taken_away(lab, context, monkeypatch):
    lab.user("joe")
    monkeypatch.setattr(_mail_stage.Stage, "__exit__", lambda self, *_what: None)
    mail.run(context)
    left = os.listdir(_mail_stage.STAGES)
    assert len(left) == 1
    monkeypatch.undo()
    lab.doveadm("expunge", "-u", "joe", "mailbox", "INBOX", "uid", "7")
    os.unlink(_mail_import.state_path(os.path.join(context.directory, "mail.d"), "joe"))
    document = mail.run(context)
    assert ids(document) == [] and document["counts"]["messages imported"] == 1, [(e["id"], e["evidence"]) for e in document["findings"]]
    assert os.listdir(_mail_stage.STAGES) == [] and lab.status("joe")["messages"] == 3


def test_others_can_not_look_into_a_stage(lab, context, monkeypatch):
    lab.user("joe")
    seen, real = [], _mail_live.Live.sync

    def spy(self, user, location):
        path = location.partition(":")[2]
        seen.extend((os.stat(p).st_uid, stat.S_IMODE(os.stat(p).st_mode)) for p in (path, os.path.dirname(path), _mail_stage.STAGES))
        real(self, user, location)

    monkeypatch.setattr(_mail_live.Live, "sync", spy)
    mail.run(context)
    assert seen == [(mail_lab.UID, 0o700), (0, 0o711), (0, 0o711)]


@pytest.mark.parametrize("apply", [False, True])
def test_vacation_waits_or_is_applied(lab, old, context, apply):
    if which("sievec") is None:
        pytest.skip("sievec is not installed (apt-get install dovecot-sieve)")
    old.write("/home/joe/.forward", '\\joe, "|/usr/bin/vacation joe"\n')
    old.write("/home/joe/.vacation.msg", "Subject: away\n\nback soon\n")
    lab.user("joe")
    context.settings["vacation"] = apply
    for _turn in range(2):
        document = mail.run(context)
        found = [e["id"] for e in document["findings"]]
        assert "migration.mail.forward.unsafe" in found
        assert lab.doveadm("sieve", "list", "-u", "joe").split() == (["intact-vacation", "ACTIVE"] if apply else [])
    with open(os.path.join(context.directory, "mail.d/vacation/joe.sieve"), "rb") as handle:
        assert b"back soon" in handle.read()


def test_a_lost_message_is_found(lab, context, monkeypatch):
    lab.user("joe")
    real = _mail_live.Live.sync

    def lossy(self, user, location):
        real(self, user, location)
        lab.doveadm("expunge", "-u", "joe", "mailbox", "INBOX", "uid", "9")

    monkeypatch.setattr(_mail_live.Live, "sync", lossy)
    document = mail.run(context)
    found = [entry for entry in document["findings"] if entry["id"] == "migration.mail.messages.missing"]
    assert [entry["subject"] for entry in found] == ["joe/INBOX"] and document["status"] == "failed"


def test_check_mode_writes_nothing(lab, context):
    lab.user("joe")
    document = mail.run(context, check=True)
    assert document["counts"]["messages imported"] == 11 and lab.status("joe")["messages"] == 0
    assert os.listdir(context.directory) == []


def test_unknown_user_and_foreign_formats_are_told(lab, old, context):
    old.user("ann")
    old.write("/var/mail/ann", mail_lab.message(1))
    old.write("/var/mail/nobodys", mail_lab.message(1))
    old.write("/home/joe/mail/fast", b"*mbx*\r\n0000")
    lab.user("joe")
    document = mail.run(context)
    assert ids(document) == ["migration.mail.user.unknown"]
    assert [e["subject"] for e in document["findings"] if e["id"] == "migration.mail.store.unread"] == ["mbox /var/mail/nobodys", "/home/joe/mail/fast"]


def test_mail_of_a_system_account_is_kept_as_files(lab, old, context):
    old.user("daemon")
    old.write("/var/mail/daemon", mail_lab.message(1))
    lab.user("joe")
    document = mail.run(context)
    assert ids(document) == [], document["findings"]
    assert document["counts"]["messages of system accounts"] == 1
    with open(os.path.join(context.directory, "mail.d/system/daemon/daemon")) as handle:
        assert handle.read() == mail_lab.message(1)
    old_side, new_side = _class_mailboxes.old(context), _class_mailboxes.new(context)
    assert set(old_side) - set(new_side) == {"daemon/INBOX"} == {line["subject"] for line in document["explained"]}


def test_the_identity_map_says_who_is_who(lab, old, context, monkeypatch):
    class Map:
        def __init__(self):
            self.users = {"joe": {}, "ann": {}}

        def user(self, name):
            return {"joe": "eve"}.get(name)

    old.user("ann")
    old.write("/var/mail/ann", mail_lab.message(1))
    monkeypatch.setattr(context, "identity", Map)
    lab.user("eve")
    document = mail.run(context)
    assert ids(document) == [] and lab.status("eve")["messages"] == 3
    assert [e["subject"] for e in document["findings"] if e["id"] == "migration.mail.store.unread"] == ["mbox /var/mail of ann"]


def test_a_copied_maildir_and_a_folder_called_like_an_option_stop_nothing(lab, tmp_path):
    disk = mail_lab.OldDisk(tmp_path / "two")
    disk.user("joe")
    for top in ("Maildir", ".maildir"):
        for number in (1, 2):
            disk.write("/home/joe/%s/cur/%d.host:2,S" % (top, number), "Subject: %d\n\nbody of %s\n" % (number, "both" if number == 1 else top))
    disk.write("/home/joe/Maildir/.-A/cur/9.host:2,S", "Subject: option\n\nx\n")
    disk.write("/home/joe/Maildir/subscriptions", "-A\n")
    context = mail_lab.StandIn(disk.root, tmp_path / "migration", dovecot_config=lab.config)
    lab.user("joe")
    document = mail.run(context)
    assert ids(document) == [] and document["counts"]["messages"] == 5, document["findings"]
    live = _mail_live.Live(context.system, lab.config)
    with live.session("joe") as session:
        assert len(session.folder("INBOX")["messages"]) == 4 and "-A" in session.names(subscribed=True)
    assert _class_mailboxes.old(context) == _class_mailboxes.new(context)


def test_what_the_system_refuses_costs_one_mailbox_only(lab, old, context, monkeypatch):
    lab.user("joe")

    def refused(*_what):
        raise PermissionError(13, "Permission denied", "/x")

    monkeypatch.setattr(mail._mail_import, "carry", refused)
    document = mail.run(context)
    assert ids(document) == ["migration.mail.mailbox.failed"] and document["status"] == "failed"


@pytest.mark.parametrize("numbers", ["dovecot", "courier"])
def test_maildir_keeps_numbers(lab, tmp_path, numbers):
    disk = mail_lab.OldDisk(tmp_path / "disk")
    disk.user("eve")
    for folder in ("", ".Sent", ".Entw&APw-rfe.2008"):
        base = "/home/eve/Maildir/" + (folder + "/" if folder else "")
        disk.write(base + "cur/100.M1.old:2,FS", "Message-ID: <m1@x>\r\nSubject: a\r\n\r\none\r\n")
        disk.write(base + "new/200.M2.old", "Message-ID: <m2@x>\nSubject: b\n\ntwo\n")
        os.makedirs(disk.root + base + "tmp")
        if numbers == "dovecot":
            disk.write(base + "dovecot-uidlist", "3 V1200000000 N31 G0123456789abcdef0123456789abcdef\n12 :100.M1.old\n30 W9 :200.M2.old\n")
        else:
            disk.write(base + "courierimapuiddb", "1 1200000000 31\n12 100.M1.old\n30 200.M2.old\n")
    disk.write("/home/eve/Maildir/courierimapsubscribed", "INBOX.Sent\n")
    lab.user("eve")
    context = mail_lab.StandIn(disk.root, tmp_path / "migration", dovecot_config=lab.config)
    document = mail.run(context)
    assert ids(document) == [] and document["counts"]["messages imported"] == 6, document["findings"]
    separator = "." if lab.kind == "maildir" else "/"
    for folder in ("INBOX", "Sent", "Entw\xfcrfe%s2008" % separator):
        assert lab.status("eve", folder)["uidvalidity"] == 1200000000
        told = lab.doveadm("-f", "tab", "fetch", "-u", "eve", "uid hdr.message-id flags", "mailbox", folder).splitlines()[1:]
        assert [line.split("\t")[:2] for line in told] == [["12", "<m1@x>"], ["30", "<m2@x>"]]
        assert "\\Flagged" in told[0]
    assert lab.doveadm("mailbox", "list", "-u", "eve", "-s").split() == ["Sent"]
    assert _class_mailboxes.old(context) == _class_mailboxes.new(context)
    assert mail.run(context)["counts"]["messages imported"] == 0
