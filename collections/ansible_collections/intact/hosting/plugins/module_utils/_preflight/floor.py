# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What everything else takes for granted: the host's own name, the right time, certificates that new libraries accept (PF50)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

NAME = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*$")
RSA_BITS = 2048
WEAK = re.compile(r"^(md5|sha1|md2|md4)|ecdsa-with-sha1", re.I)


def floor(context):
    """PF50: hostname and its full form, the time, and keys and signatures of certificates in use."""
    return _names(context) + _time(context) + _certificates(context)


def _names(context):
    host, found = context.host, []
    own = host.text("/proc/sys/kernel/hostname").strip()
    kept = host.text("/etc/hostname").strip()
    if not NAME.match(own) or own.split(".")[0] == "localhost":
        remedy = "hostnamectl set-hostname NAME; mail and databases use it"
        found.append(Finding("host.name", "warning", escape(own) or "(none)", "this is no name for a host", "/proc/sys/kernel/hostname", remedy))
    elif kept and kept != own:
        remedy = "hostnamectl set-hostname with the one that is meant: after the reboot /etc/hostname counts"
        found.append(Finding("host.name.changes", "warning", own, "after the reboot this host has another name", "/etc/hostname has %s" % escape(kept), remedy))
    asked = host.run(["hostname", "-f"], check=False, timeout=30)
    full = asked.text.strip()
    if asked.rc != 0 or "." not in full or full.startswith("localhost"):
        evidence = "hostname -f: %s" % (full or asked.error or "nothing")
        remedy = "write the address with the full name first into /etc/hosts: 192.0.2.1 %s.example.com %s" % (own.split(".")[0], own.split(".")[0])
        title = "the host has no full name (FQDN): mail servers' scripts ask for it"
        found.append(Finding("host.fqdn", "warning", own or "(none)", title, evidence, remedy))
    return found


def _time(context):
    """Whether somebody keeps the clock: signatures of sources and TLS depend on it."""
    host = context.host
    if context.container() or not host.which("timedatectl"):
        return []
    asked = host.run(["timedatectl", "show"], check=False, timeout=30)
    told = dict(line.split("=", 1) for line in asked.text.splitlines() if "=" in line)
    if asked.rc != 0 or told.get("NTPSynchronized", "yes") == "yes":
        return []
    remedy = "apt-get install systemd-timesyncd or chrony, and see that timedatectl says: System clock synchronized: yes"
    return [Finding("host.time", "warning", "clock", "nobody keeps this host's clock right", "NTPSynchronized=%s" % told["NTPSynchronized"], remedy)]


def certificate(text):
    """(kind of key, its bits, signature's algorithm) of `openssl x509 -noout -text`. Pure."""
    signature = re.search(r"Signature Algorithm: (\S+)", text)
    kind = re.search(r"Public Key Algorithm: (\S+)", text)
    bits = re.search(r"Public-Key: \((\d+) bit", text)
    return (kind.group(1) if kind else "", int(bits.group(1)) if bits else 0, signature.group(1) if signature else "")


def _certificates(context):
    host, found = context.host, []
    if not host.which("openssl"):
        return []
    rules = context.release_path.get("crypto") or {}
    smallest = int(rules.get("rsa_bits") or RSA_BITS)
    users = {}
    for subject, item in sorted(context.items("tls").items()):
        for path in item.get("paths") or []:
            if path.startswith("/"):
                users.setdefault(host.realpath(path), []).append((subject, bool(item.get("self_signed"))))
    for path, who in sorted(users.items()):
        if b"BEGIN CERTIFICATE" not in (_quiet(host, path) or b""):
            continue
        kind, bits, signature = certificate(host.run(["openssl", "x509", "-in", path, "-noout", "-text"], check=False).text)
        why = []
        if kind == "rsaEncryption" and bits and bits < smallest:
            why.append("an RSA key of %d bits" % bits)
        # nobody checks the signature of a certificate by itself
        if WEAK.search(signature) and not all(alone for _subject, alone in who):
            why.append("signed with %s" % signature)
        if why:
            evidence = "%s; used by %s%s" % (
                ", ".join(why),
                ", ".join(subject for subject, _alone in who[:4]),
                "; " + str(rules["reason"]) if rules.get("reason") else "",
            )
            remedy = "have it issued anew with a key of %d bits or more (or ECDSA) and SHA-256" % max(smallest, 2048)
            found.append(Finding("host.certificate", "warning", escape(path), "the target's libraries refuse this certificate", evidence, remedy))
    return found


def _quiet(host, path):
    try:
        return host.read(path, 1 << 20)
    except OSError:
        return None
