# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Postfix and Dovecot: six maildirs, two mboxes, sieve, aliases, real deliveries and a message that stays queued."""

from __future__ import annotations

import os
import smtplib
import zlib
from email.message import EmailMessage

import mail_messages

import lab

VMAIL = 5000
# address: folders with their number of messages
MAILDIRS = {
    "info@hilltop.test": {"": 25, "Sent": 12, "Trash": 3},
    "orders@hilltop.test": {"": 40, "Archive": 30, "Archive.2022": 25, "Archive.2023": 25},
    "anna@hilltop.test": {"": 18, "Sent": 9, "Entw&APw-rfe": 4, "Projects": 0, "Projects.Cakes.Wedding": 6},
    "editor@northwind.test": {"": 22, "Sent": 14, "Issue 12": 8},
    "sales@northwind.test": {"": 7},
    "captain@harbour.test": {"": 15, "Sent": 5, "Crew": 11},
}
# account: folders below ~/mail, and the number of messages in /var/mail
MBOXES = {"carol": ({"sent-mail": 10, "family/2019": 6}, 30), "oldpaul": ({"saved": 12}, 20)}
VACATION = """require ["vacation", "fileinto", "mailbox"];
# rule:[crew]
if address :is "to" "crew@lists.harbour.test" { fileinto :create "Crew"; stop; }
# rule:[away]
vacation :days 7 :addresses ["captain@harbour.test", "webmaster@harbour.test"] :subject "At sea"
  "The captain is at sea and answers when back in port.";
"""
SORTING = """require ["fileinto", "mailbox", "imap4flags"];
if header :contains "subject" "wedding" { addflag "\\\\Flagged"; fileinto :create "Projects.Cakes.Wedding"; stop; }
"""
MAIN_CF = {
    "myhostname": "web1.lab.test",
    "mydestination": "$myhostname, web1, localhost.localdomain, localhost",
    "smtpd_tls_cert_file": "/etc/ssl/hosting/mail.hilltop.test.crt",
    "smtpd_tls_key_file": "/etc/ssl/hosting/mail.hilltop.test.key",
    "smtpd_sasl_type": "dovecot",
    "smtpd_sasl_path": "private/auth",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_tls_auth_only": "no",
    "smtpd_peername_lookup": "no",
    "virtual_mailbox_domains": "hilltop.test, northwind.test, harbour.test",
    "virtual_mailbox_maps": "hash:/etc/postfix/vmailbox",
    "virtual_alias_maps": "hash:/etc/postfix/virtual",
    "virtual_transport": "lmtp:unix:private/dovecot-lmtp",
    "transport_maps": "hash:/etc/postfix/transport, hash:/var/lib/mailman3/data/postfix_lmtp",
    "relay_domains": "hash:/var/lib/mailman3/data/postfix_domains",
    "relay_recipient_maps": "hash:/var/lib/mailman3/data/postfix_lmtp",
    "owner_request_special": "no",
    "message_size_limit": "52428800",
    # the partner's server is down for longer than the default of five days
    "maximal_queue_lifetime": "100d",
    "smtp_host_lookup": "native",
}
ALIASES = """# edited by hand since 2011
mailer-daemon: postmaster
postmaster: root
nobody: root
hostmaster: root
abuse: root
root: captain@harbour.test
bakers: anna@hilltop.test, carol
discard: /dev/null
"""


def dovecot() -> None:
    conf = "/etc/dovecot/conf.d"
    fresh = lab.edit(
        f"{conf}/10-auth.conf",
        ("\n#disable_plaintext_auth = yes", "\ndisable_plaintext_auth = no"),
        ("#auth_username_format = %Lu", "auth_username_format = %Lu"),
        ("auth_mechanisms = plain\n", "auth_mechanisms = plain login\n"),
        ("\n!include auth-system.conf.ext\n", "\n!include auth-passwdfile.conf.ext\n!include auth-system.conf.ext\n"),
    )
    fresh |= lab.edit(
        f"{conf}/10-mail.conf",
        ("\nmail_location = mbox:~/mail:INBOX=/var/mail/%u", "\nmail_location = maildir:~/Maildir"),
        ("#first_valid_uid = 500", "first_valid_uid = 1000"),
        ("#mbox_write_locks = fcntl dotlock", "mbox_write_locks = dotlock fcntl"),
    )
    with open(f"{conf}/10-ssl.conf", encoding="utf-8") as shipped:
        # Debian 11's says TLSv1
        oldest = "#ssl_min_protocol = TLSv1.2" if "ssl_min_protocol = TLSv1.2" in shipped.read() else "#ssl_min_protocol = TLSv1"
    fresh |= lab.edit(
        f"{conf}/10-ssl.conf",
        ("ssl_cert = </etc/dovecot/private/dovecot.pem", "ssl_cert = </etc/ssl/hosting/mail.hilltop.test.crt"),
        ("ssl_key = </etc/dovecot/private/dovecot.key", "ssl_key = </etc/ssl/hosting/mail.hilltop.test.key"),
        (oldest, "ssl_min_protocol = TLSv1.2"),
    )
    socket = "  unix_listener /var/spool/postfix/private/{} {{\n    mode = 0660\n    user = postfix\n    group = postfix\n  }}\n"
    fresh |= lab.edit(
        f"{conf}/10-master.conf",
        ("service lmtp {\n  unix_listener lmtp {", "service lmtp {\n" + socket.format("dovecot-lmtp") + "  unix_listener lmtp {"),
        ("  # Postfix smtp-auth\n", "  # SMTP logins\n" + socket.format("auth")),
    )
    fresh |= lab.edit(f"{conf}/20-lmtp.conf", ("  #mail_plugins = $mail_plugins\n", "  mail_plugins = $mail_plugins sieve\n"))
    fresh |= lab.edit(f"{conf}/90-sieve.conf", ("  #sieve_before = /var/lib/dovecot/sieve.d/", "  sieve_before = /etc/dovecot/sieve-before.d"))
    fresh |= lab.edit(f"{conf}/auth-passwdfile.conf.ext", ("  args = scheme=CRYPT username_format", "  args = scheme=SHA512-CRYPT username_format"))
    fresh |= lab.edit(
        f"{conf}/auth-system.conf.ext",
        ("  driver = passwd\n", "  driver = passwd\n  override_fields = mail=mbox:~/mail:INBOX=/var/mail/%u\n"),
    )
    lab.place("etc/dovecot/sieve-before.d/10-spam.sieve")
    if not os.path.exists("/etc/dovecot/sieve-before.d/10-spam.svbin"):
        lab.run("sievec", "/etc/dovecot/sieve-before.d/10-spam.sieve")
    lab.put("/etc/dovecot/users", "".join(user_line(address) for address in MAILDIRS), 0o640, "root:dovecot")
    lab.service("dovecot.service", restart=fresh)


def user_line(address: str) -> str:
    name, domain = address.split("@")
    hashed = lab.run("openssl", "passwd", "-6", "-salt", "labseed00", f"lab-{name}").strip()
    return f"{address}:{hashed}:{VMAIL}:{VMAIL}::/home/vmail/{domain}/{name}::\n"


def mailboxes() -> None:
    if not lab.succeeds("getent", "passwd", "vmail"):
        lab.run("groupadd", "--gid", str(VMAIL), "vmail")
        lab.run("useradd", "--uid", str(VMAIL), "--gid", str(VMAIL), "--no-create-home", "--home-dir", "/home/vmail",
                "--shell", "/usr/sbin/nologin", "vmail")  # fmt: skip
        lab.changed("account vmail")
    lab.folder("/home/vmail", 0o750, "vmail:vmail")
    for address, folders in MAILDIRS.items():
        name, domain = address.split("@")
        home = f"/home/vmail/{domain}/{name}"
        lab.folder(f"/home/vmail/{domain}", 0o750, "vmail:vmail")
        lab.folder(home, 0o700, "vmail:vmail")
        if not os.path.isdir(f"{home}/Maildir"):
            mail_messages.maildir(f"{home}/Maildir", address, VMAIL, folders)
            lab.changed(f"mailbox {address}")
    for name, (folders, count) in MBOXES.items():
        if os.path.exists(f"/home/{name}/mail"):
            continue
        lab.folder(f"/home/{name}/mail", 0o700, f"{name}:{name}")
        for folder, number in folders.items():
            lab.folder(os.path.dirname(f"/home/{name}/mail/{folder}"), 0o700, f"{name}:{name}")
            lab.put(f"/home/{name}/mail/{folder}", mail_messages.mbox(f"{name}@web1.lab.test", folder, number), 0o600, f"{name}:{name}")
        lab.put(f"/home/{name}/mail/.subscriptions", "".join(f"{folder}\n" for folder in folders), 0o600, f"{name}:{name}")
        lab.put(f"/var/mail/{name}", mail_messages.mbox(f"{name}@web1.lab.test", "INBOX", count), 0o660, f"{name}:mail")


def sieve() -> None:
    for domain, name, script in (("harbour.test", "captain", VACATION), ("hilltop.test", "anna", SORTING)):
        home = f"/home/vmail/{domain}/{name}"
        lab.folder(f"{home}/sieve", 0o700, "vmail:vmail")
        lab.put(f"{home}/sieve/main.sieve", script, 0o600, "vmail:vmail", lab.EPOCH)
        if lab.link(f"{home}/.dovecot.sieve", "sieve/main.sieve"):
            lab.run("runuser", "-u", "vmail", "--", "sievec", f"{home}/sieve/main.sieve", f"{home}/.dovecot.svbin")
            os.lchown(f"{home}/.dovecot.sieve", VMAIL, VMAIL)


def postfix() -> None:
    have = dict(line.split(" = ", 1) for line in lab.run("postconf", "-n").splitlines() if " = " in line)
    fresh = False
    for key, value in MAIN_CF.items():
        if have.get(key) != value:
            lab.run("postconf", "-e", f"{key}={value}")
            fresh = True
    if not lab.run("postconf", "-M", "submission/inet", check=False).strip():
        lab.run("postconf", "-Me", "submission/inet=submission inet n - y - - smtpd")
        lab.run("postconf", "-Pe", "submission/inet/syslog_name=postfix/submission", "submission/inet/smtpd_tls_security_level=may")
        fresh = True
    if fresh:
        lab.changed("main.cf and master.cf")
    if lab.put("/etc/aliases", ALIASES):
        lab.run("newaliases")
    for name in ("virtual", "vmailbox", "transport"):
        if lab.place(f"etc/postfix/{name}"):
            lab.run("postmap", f"/etc/postfix/{name}")
    # Mailman writes its own when it has lists; Postfix needs them from its first start.
    for name in ("postfix_lmtp", "postfix_domains"):
        path = f"/var/lib/mailman3/data/{name}"
        if not os.path.exists(path + ".db"):
            lab.put(path, "", 0o644, "list:list")
            lab.run("postmap", path)
            os.chown(path + ".db", *lab.ids("list:list"))
    lab.service("postfix.service", restart=fresh)


def send(sender: str, to: str, subject: str, text: str, **headers: str) -> None:
    """One message over SMTP, as from outside."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, to, subject
    letter["Date"] = "Sat, 02 Mar 2024 08:00:00 +0000"
    letter["Message-ID"] = f"<{zlib.crc32(f'{sender} {to} {subject}'.encode())}@example.test>"
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content(text)
    with smtplib.SMTP("127.0.0.1", 25, local_hostname="client.example.test", timeout=30) as server:
        server.send_message(letter)


def queue() -> list[str]:
    return [line for line in lab.run("postqueue", "-j").splitlines() if line.strip()]


def deliveries() -> None:
    """Real messages through Postfix, sieve and vacation; then the one that nobody will take."""
    marker = "/var/lib/intact-lab/delivered"
    if not os.path.exists(marker):
        send("carol@web1.lab.test", "captain@harbour.test", "When do we sail?", "Tomorrow?\n")
        send("boat@example.test", "anna@hilltop.test", "The wedding cake", "Three floors, please.\n")
        send("spam@example.test", "info@hilltop.test", "Win", "Win now\n", X_Spam_Flag="YES")
        send("boat@example.test", "sales-team@hilltop.test", "Bread for 40", "By Sunday.\n")
        send("boat@example.test", "bakers@web1.lab.test", "Dough", "To the alias.\n")
        lab.wait("an empty queue", lambda: not queue(), 60)
        lab.put(marker, "")
    if not any("deadend.test" in line for line in queue()):
        send("editor@northwind.test", "kim@deadend.test", "Are you back yet?", "We still wait for your reply.\n")
        lab.wait("the message to deadend.test to be deferred", lambda: any('"deferred"' in line for line in queue()), 60)
        lab.changed("one message waits in the queue")


def settle() -> None:
    """Let Dovecot index everything once, so that looking at it later changes nothing."""
    marker = "/var/lib/intact-lab/mail-indexed"
    if os.path.exists(marker):
        return
    for user in (*MAILDIRS, *MBOXES):
        lab.run("doveadm", "index", "-u", user, "*")
    lab.put(marker, "")


def main() -> None:
    mailboxes()
    sieve()
    dovecot()
    postfix()
    deliveries()
    settle()


if __name__ == "__main__":
    main()
