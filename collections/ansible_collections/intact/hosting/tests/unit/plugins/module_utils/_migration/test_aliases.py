# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Aliases into a real Postfix's tables (its own programs, a configuration of ours, no daemon), queues, filters."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_aliases, _mail_aliases, _mail_filters, _mail_queue, mail
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import mail_lab

OLD = """# old aliases
postmaster: root
webmaster: ann, "joe smith"@example.com
root:   ann
abuse:
  ann,
  bob@example.com
lists: "|/usr/lib/mailman/mail/mailman post lists"
everyone: :include:/etc/everyone
save: /var/archive/mail
sales: ann, |/bin/cat
"odd name": ann
"""


@pytest.fixture
def postfix(tmp_path):
    if which("postconf") is None or os.geteuid() != 0:
        pytest.skip("postalias and postmap need postfix (apt-get install postfix) and root")
    directory = tmp_path / "postfix"
    directory.mkdir()
    (directory / "main.cf").write_text(
        "compatibility_level = 3.6\nalias_maps = hash:{0}/aliases\nalias_database = $alias_maps\nvirtual_alias_maps = hash:{0}/virtual\n".format(directory)
    )
    (directory / "master.cf").write_text("")
    (directory / "aliases").write_text("postmaster: root\nroot: admin@example.com\n# kept\n")
    (directory / "virtual").write_text("")
    for kind, table in (("postalias", "aliases"), ("postmap", "virtual")):
        subprocess.run([kind, "-c", str(directory), "hash:%s/%s" % (directory, table)], check=True)
    return directory


@pytest.fixture
def old(tmp_path):
    disk = mail_lab.OldDisk(tmp_path / "old")
    disk.user("ann")
    disk.write("/etc/aliases", OLD)
    disk.write("/etc/postfix/main.cf", "alias_maps = hash:/etc/aliases\nvirtual_alias_maps =\n  hash:$config_directory/virtual\n")
    disk.write("/etc/postfix/virtual", "example.org anything\ninfo@example.org\tann\n@example.org bob@example.com, cem@example.com\n")
    return disk


def ask(postfix, table, name):
    done = subprocess.run(["postmap", "-c", str(postfix), "-q", name, "hash:%s/%s" % (postfix, table)], check=False, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def test_aliases_are_merged_and_nothing_that_runs(postfix, old, tmp_path):
    context = mail_lab.StandIn(old.root, tmp_path / "migration", postfix_config=str(postfix))
    assert mail.run(context, check=True)["counts"]["aliases added"] == 6
    assert "intact" not in (postfix / "aliases").read_text()
    document = mail.run(context)
    assert document["status"] == "done", document["findings"]
    assert ask(postfix, "aliases", "abuse") == "ann, bob@example.com" and ask(postfix, "aliases", "webmaster") == 'ann, "joe smith"@example.com'
    assert ask(postfix, "aliases", "root") == "admin@example.com" and ask(postfix, "aliases", "odd name") == "ann"
    assert ask(postfix, "virtual", "example.org") == "anything"
    assert ask(postfix, "virtual", "info@example.org") == "ann" and ask(postfix, "virtual", "@example.org") == "bob@example.com, cem@example.com"
    assert [ask(postfix, "aliases", name) for name in ("lists", "everyone", "save", "sales")] == [""] * 4
    found = [(e["id"], e["subject"]) for e in document["findings"]]
    assert ("migration.mail.alias.conflict", "root") in found
    assert (
        sorted(s for i, s in found if i == "migration.mail.alias.unsafe") == ["everyone", "sales", "save"]
        and ("migration.mail.alias.mailman", "local") in found
    )
    before, after = _class_aliases.old(context), _class_aliases.new(context)
    told = {line["subject"] for line in document["explained"]}
    assert {name for name in before if after.get(name) != before[name]} == told == {"local " + n for n in ("root", "everyone", "lists", "sales", "save")}
    text = (postfix / "aliases").read_text()
    again = mail.run(context)
    assert again["counts"]["aliases added"] == 0 and not again["changed"] and (postfix / "aliases").read_text() == text
    assert "# kept" in text and text.count("# BEGIN intact migration migration") == 1


def test_a_lost_alias_is_found(postfix, old, tmp_path):
    context = mail_lab.StandIn(old.root, tmp_path / "migration", postfix_config=str(postfix))
    mail.run(context)
    (postfix / "aliases").write_text("postmaster: root\nroot: ann\nwebmaster: ann\n")
    subprocess.run(["postalias", "-c", str(postfix), "hash:%s/aliases" % postfix], check=True)
    before, after = _class_aliases.old(context), _class_aliases.new(context)
    assert "local abuse" not in after and after["local webmaster"] != before["local webmaster"] and after["local root"] == before["local root"]


def test_no_table_is_told(postfix, old, tmp_path):
    (postfix / "main.cf").write_text("compatibility_level = 3.6\nalias_maps = hash:%s/aliases\nalias_database = $alias_maps\n" % postfix)
    document = mail.run(mail_lab.StandIn(old.root, tmp_path / "migration", postfix_config=str(postfix)))
    assert [e["subject"] for e in document["findings"] if e["severity"] == "blocker"] == ["virtual_alias_maps"]


@pytest.mark.parametrize(
    ("target", "kind"),
    [("ann", "address"), ("|/bin/x", "pipe"), ('"|/bin/x a, b"', "pipe"), ('"/var/x"', "file"), (":include:/x", "include"), (' ":Include:/x"', "include")],
)
def test_kinds_of_targets(target, kind):
    assert _mail_aliases.kind_of(target) == kind


def test_a_block_without_its_end_is_refused():
    text = "a: b\n# BEGIN intact migration 1\nc: d\n"
    with pytest.raises(Exception, match="END intact migration 1"):
        _mail_aliases.without(text, "1")


def test_exim_and_sendmail_queues_are_copied(tmp_path):
    disk = mail_lab.OldDisk(tmp_path / "old")
    head = (
        b"1abcde-000001-AB-H\nmail 8 8\n<ann@example.com>\n1200000000 0\n-ident mail\n-body_linecount 1\nYN done@example.com\nNN x@example.com\n2\n"
        b"done@example.com\nbob@example.com\n\n024  Subject: wartet\nX-A: b\n\n015* Return-Path: <>\n"
    )
    head = head.replace(b"024  Subject: wartet\nX-A: b\n\n015* Return-Path: <>\n", b"016  Subject: wartet\n017* Return-path: <>\n")
    disk.write("/var/spool/exim4/input/A/1abcde-000001-AB-H", head)
    disk.write("/var/spool/exim4/input/A/1abcde-000001-AB-D", b"1abcde-000001-AB-D\nhello\n")
    disk.write("/var/spool/mqueue/qfm01", b"V8\n")
    disk.write("/var/spool/mqueue/dfm01", b"body\n")
    context = mail_lab.StandIn(disk.root, tmp_path / "migration")
    told = {entry["server"]: _mail_queue.copy(context, entry, str(tmp_path / "out")) for entry in _mail_queue.waiting(context)}
    assert told["exim"] == {"sender": "ann@example.com", "recipients": ["bob@example.com"]}
    assert (tmp_path / "out/exim/input/1abcde-000001-AB-H.eml").read_bytes() == b"Subject: wartet\n\nhello\n"
    assert (tmp_path / "out/sendmail/mqueue/dfm01").read_bytes() == b"body\n" and told["sendmail"] == {"said": "kept as it lay"}


def test_postfix_queue_is_read_by_postcat(postfix, tmp_path):
    """A real queue file: what Postfix's own sendmail drops into a maildrop that nobody picks up."""
    disk = mail_lab.OldDisk(tmp_path / "old")
    spool = tmp_path / "spool"
    for name in ("maildrop", "public", "pid"):
        (spool / name).mkdir(parents=True)
    with open(str(postfix / "main.cf"), "a") as handle:
        handle.write("queue_directory = %s\nmyhostname = old.example.com\n" % spool)
    letter = b"Subject: wartet\n\nhello\n"
    subprocess.run(["sendmail", "-C", str(postfix), "-f", "ann@example.com", "bob@example.com", "cem@example.com"], input=letter, check=True)
    dropped = os.listdir(str(spool / "maildrop"))
    assert len(dropped) == 1
    disk.write("/var/spool/postfix/maildrop/" + dropped[0], (spool / "maildrop" / dropped[0]).read_bytes(), 0o700)
    disk.write("/var/spool/postfix/deferred/1/1ABCDEF012", b"damaged")
    context = mail_lab.StandIn(disk.root, tmp_path / "migration", postfix_config=str(postfix))
    document = mail.run(context)
    assert document["counts"]["queued"] == 2 and document["counts"]["requeued"] == 0
    place = os.path.join(context.directory, "mail.d", "queue", "postfix", "maildrop", dropped[0])
    with open(place + ".eml", "rb") as handle:
        assert handle.read().endswith(letter)
    context.settings["requeue"] = True
    assert mail.run(context)["counts"]["requeued"] == 1 and mail.run(context)["counts"]["requeued"] == 0
    assert len(os.listdir(str(spool / "maildrop"))) == 2


def test_vacation_becomes_sieve_that_pigeonhole_takes(tmp_path):
    found = {
        "forward": ["\\ann", "copy@example.com", '"|/usr/bin/vacation ann"'],
        "vacation": 'From: ann\nSubject: Re: $SUBJECT\n\nGr\xfc\xdfe "bald"\n'.encode("latin-1"),
    }
    script = _mail_filters.vacation(found)
    assert 'Gr\xfc\xdfe \\"bald\\"' in script.decode() and b'redirect :copy "copy@example.com"' in script
    assert _mail_filters.vacation(dict(found, forward=["copy@example.com"])) is None
    if which("sievec") is None:
        pytest.skip("sievec is not installed (apt-get install dovecot-sieve)")
    assert _mail_filters.checked(script, str(tmp_path)) == ""
    assert "error" in _mail_filters.checked(b'require "nonsense";\n', str(tmp_path))
    assert os.listdir(str(tmp_path)) == []
