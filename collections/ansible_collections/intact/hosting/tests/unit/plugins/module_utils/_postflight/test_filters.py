# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mail filters: the real opendkim as a milter, and recorded mail servers."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._postflight import filters
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

HEADERS = """Return-Path: <>
Delivered-To: probe@example.com
Received: from web1 (localhost [127.0.0.1])
\tby web1 with ESMTP id 1
X-Spam-Status: No, score=%s required=5.0 tests=ALL_TRUSTED
X-Spam-Flag: NO
Authentication-Results: web1; dkim=%s (2048-bit key) header.d=example.com; spf=none
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.com;
\ts=mail; t=1763900000; bh=x; b=%s
From: <probe@example.com>
X-Intact-Probe: 1

"""


def test_marks_are_what_filters_say_and_not_what_changes_each_time():
    seen = filters.marks(HEADERS % ("-1.0", "pass", "abc"))
    assert seen == {
        "authentication-results": ["dkim=pass spf=none"],
        "dkim-signature": ["d=example.com"],
        "x-spam-flag": ["there"],
        "x-spam-status": ["there"],
    }
    assert seen == filters.marks(HEADERS % ("-2.7", "pass", "xyz"))


def judged(before, headers):
    context = Context(None, before={} if before is None else {"mail": {"marks": before}})
    if headers is not None:
        context.seen["headers"] = headers
    return [(f.id, f.severity, f.subject) for f in filters.same_marks(context)]


def test_a_mark_that_messages_no_longer_carry():
    before = filters.marks(HEADERS % ("1", "pass", "a"))
    assert judged(before, HEADERS % ("2", "pass", "b")) == []
    assert judged(before, (HEADERS % ("2", "pass", "b")).replace("DKIM-Signature", "X-Other")) == [("mail.mark.missing", "warning", "dkim-signature")]
    assert judged(before, HEADERS % ("2", "fail", "b")) == [("mail.mark.changed", "warning", "authentication-results")]
    assert judged(before, None) == [], "no message arrived: that is told by itself"
    assert judged(None, HEADERS % ("2", "pass", "b")) == [("mail.mark.unproven", "info", "mail filters")]
    unread = Context(None, before={"mail": {"marks": before}}, seen={"unread": "doveadm: no"})
    assert [(f.id, f.severity) for f in filters.same_marks(unread)] == [("mail.mark.unread", "warning")]
    assert judged({}, HEADERS % ("2", "pass", "b")) == [], "a new filter is no loss"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("inet:127.0.0.1:8891, unix:/run/x.sock", [("inet:127.0.0.1:8891", ""), ("unix:/run/x.sock", "")]),
        ("{ inet:h:1, connect_timeout=10s, default_action=accept } local:opendkim/o.sock", [("inet:h:1", "accept"), ("local:opendkim/o.sock", "")]),
    ],
)
def test_lists_of_milters(text, expected):
    assert filters.addresses(text) == expected


def postfix(milters="", action="tempfail", content="", services=""):
    said = "smtpd_milters = %s\nnon_smtpd_milters =\nmilter_default_action = %s\ncontent_filter = %s\nqueue_directory = /var/spool/postfix\n"
    return FakeSystem(commands={"postconf -x": said % (milters, action, content), "postconf -P": services})


def told(host):
    return [(f.id, f.severity, f.subject) for f in filters.filters(Context(host))]


@pytest.fixture
def server(tmp_path):
    """A function that makes a server which answers each connection with some bytes; gives its port."""
    made = []

    def make(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        made.append(listener)

        def serve():
            while True:
                try:
                    client, _where = listener.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(5)
                    try:
                        if not answer.startswith(b"220"):
                            client.recv(64)
                        client.sendall(answer)
                        client.recv(64)
                    except OSError:
                        pass

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield make
    for listener in made:
        listener.close()


MILTER = struct.pack(">IcIII", 13, b"O", 6, 0, 0)


def test_what_postfix_asks(server, tmp_path):
    good, odd = server(MILTER), server(b"HTTP/1.0 400 Bad\r\n")
    assert told(postfix()) == [] and told(FakeSystem()) == []
    assert told(postfix("inet:127.0.0.1:%d" % good)) == []
    assert told(postfix("inet:%d@127.0.0.1" % good)) == []
    assert told(postfix("inet:127.0.0.1:%d" % odd)) == [("mail.filter.silent", "blocker", "milter inet:127.0.0.1:%d" % odd)]
    gone = "unix:%s/gone.sock" % tmp_path
    assert told(postfix(gone)) == [("mail.filter.silent", "blocker", "milter " + gone)]
    assert told(postfix(gone, action="accept")) == [("mail.filter.silent", "warning", "milter " + gone)]
    assert told(postfix("{ %s, default_action=accept }" % gone)) == [("mail.filter.silent", "warning", "milter " + gone)]
    override = "submission/inet/smtpd_milters = %s\nsubmission/inet/syslog_name = postfix/submission\n" % gone
    assert told(postfix(services=override)) == [("mail.filter.silent", "blocker", "milter " + gone)]


def test_a_content_filter_greets(server):
    good, odd = server(b"220 amavis ESMTP\r\n"), server(b"?")
    assert told(postfix(content="smtp-amavis:[127.0.0.1]:%d" % good)) == []
    assert told(postfix(content="smtp-amavis:[127.0.0.1]:%d" % odd)) == [("mail.filter.silent", "blocker", "content filter 127.0.0.1:%d" % odd)]
    assert told(postfix(content="spamassassin:dummy")) == [], "a pipe has no address"


def test_what_exim_asks(server):
    def exim(av, spam, acl="  spam = nobody\n"):
        said = "av_scanner = clamd:127.0.0.1 %d\nspamd_address = 127.0.0.1 %d\n" % (av, spam)
        return FakeSystem(commands={"/usr/bin/exim4 -bP": said}, files={"/etc/exim4/conf.d/acl/40_check": acl})

    scanner, spamd, odd = server(b"PONG\0"), server(b"SPAMD/1.5 0 PONG\r\n"), server(b"no")
    assert told(exim(scanner, spamd)) == []
    assert told(exim(odd, odd)) == [
        ("mail.filter.silent", "blocker", "virus scanner inet:127.0.0.1:%d" % odd),
        ("mail.filter.silent", "warning", "spam filter inet:127.0.0.1:%d" % odd),
    ]
    assert told(exim(scanner, odd, acl="# spam = nobody\n")) == [], "Exim's own default is asked by nobody"


def test_a_filter_that_refuses_its_configuration(server):
    host = postfix("inet:127.0.0.1:%d" % server(MILTER))
    host.commands[("opendkim", "-n")] = (78, "", "opendkim: /etc/opendkim.conf: configuration error at line 3: unrecognized parameter\n")
    assert told(host) == [("mail.filter.refused", "warning", "opendkim")]
    host.commands[("opendkim", "-n")] = (0, "")
    assert told(host) == []


@pytest.fixture
def opendkim(tmp_path):
    """The real opendkim with a key of its own, on a socket in a directory of its own: (socket's path, function that stops it)."""
    program = shutil.which("opendkim", path=os.environ["PATH"] + ":/usr/sbin")
    genkey = shutil.which("opendkim-genkey", path=os.environ["PATH"] + ":/usr/sbin")
    if not program or not genkey or os.geteuid() != 0:
        pytest.skip("needs root, opendkim and opendkim-tools")
    tmp_path.chmod(0o755)
    subprocess.run([genkey, "-b", "1024", "-d", "example.com", "-s", "mail", "-D", str(tmp_path)], check=True, capture_output=True)
    (tmp_path / "mail.private").chmod(0o600)
    path = tmp_path / "o.sock"
    conf = "Mode sv\nDomain example.com\nSelector mail\nKeyFile %s/mail.private\nSocket local:%s\nSyslog no\nRequireSafeKeys no\nInternalHosts 127.0.0.1\n"
    (tmp_path / "opendkim.conf").write_text(conf % (tmp_path, path))
    process = subprocess.Popen([program, "-f", "-x", str(tmp_path / "opendkim.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _attempt in range(100):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.1)

    def stop():
        process.terminate()
        process.wait()

    try:
        yield str(path), stop
    finally:
        if process.poll() is None:
            stop()


def through_a_milter(path, headers, body):
    """Headers that a milter inserts, asked in the way of an SMTP server (libmilter's protocol)."""

    def packet(command, data=b""):
        return struct.pack(">Ic", 1 + len(data), command) + data

    def answer(client):
        head = b""
        while len(head) < 4:
            head += client.recv(4 - len(head))
        data, size = b"", struct.unpack(">I", head)[0]
        while len(data) < size:
            data += client.recv(size - len(data))
        return data

    out = []
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(packet(b"O", struct.pack(">III", 6, 0x1FF, 0)))
        assert answer(client)[:1] == b"O"
        steps = [packet(b"C", b"localhost\0" + b"4" + struct.pack(">H", 2525) + b"127.0.0.1\0"), packet(b"H", b"localhost\0")]
        steps += [packet(b"M", b"<>\0"), packet(b"R", b"<probe@example.com>\0")]
        steps += [packet(b"L", name.encode() + b"\0" + value.encode() + b"\0") for name, value in headers] + [packet(b"N"), packet(b"B", body)]
        for step in steps:
            client.sendall(step)
            assert answer(client)[:1] in b"ck"
        client.sendall(packet(b"E"))
        while True:
            said = answer(client)
            if said[:1] in (b"h", b"i"):  # add a header, insert one at a place
                name, value = said[5 if said[:1] == b"i" else 1 :].split(b"\0")[:2]
                out.append("%s: %s" % (name.decode(), value.decode()))
            elif said[:1] in (b"a", b"c", b"t", b"r"):
                break
        client.sendall(packet(b"Q"))
    return "\n".join(out) + "\n\n"


def test_the_real_opendkim(opendkim):
    path, stop = opendkim
    host = postfix("unix:" + path)
    assert told(host) == []
    message = [
        ("From", "<probe@example.com>"),
        ("To", "<probe@example.com>"),
        ("Date", "Sun, 22 Nov 2026 10:00:00 +0000"),
        ("Message-ID", "<a@b>"),
        ("Subject", "x"),
    ]
    headers = through_a_milter(path, message, b"probe\r\n")
    before = filters.marks(headers)
    assert before["dkim-signature"] == ["d=example.com"]
    # the same filter without a key for the domain: messages go out unsigned
    unsigned = through_a_milter(path, [("From", "<probe@other.test>")] + message[1:], b"probe\r\n")
    assert ("mail.mark.missing", "warning", "dkim-signature") in judged(before, unsigned)
    assert judged(before, headers) == []
    stop()
    assert told(host) == [("mail.filter.silent", "blocker", "milter unix:" + path)]
