# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""TLS: which key, certificate and chain every site and mail port shows, until when, and the oldest protocol it accepts."""

from __future__ import annotations

import concurrent.futures
import datetime
import re
import ssl
import warnings

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _exim, _mailports, _vhosts, _x509
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "tls"
MAIL = {25: "smtp", 465: "", 587: "smtp", 143: "imap", 993: "", 110: "pop3", 995: "", 4190: "sieve"}
PROTOCOLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def capture(system):
    """Items: "NAME:443" for each name and TLS port of a site, "port 993" for mail. Options: ports (mail ports), timeout (seconds)."""
    sites = _vhosts.discover(system)
    jobs = []
    for name, site in sorted((sites or {}).items()):
        done = set()
        for address, port, tls in site["listen"]:
            if tls and port not in done:
                done.add(port)
                jobs.append(
                    (
                        "%s:%d" % (escape(name), port),
                        _vhosts.local(address),
                        port,
                        _vhosts.asked(name),
                        "",
                        {"paths": _files(system, site) + ["site:" + escape(name), "service:%s.service" % site["server"]] + _sockets(site, port)},
                    )
                )
    files = _mail_files(system)
    for port in system.options.get("ports", sorted(MAIL)):
        for address in ("127.0.0.1", "::1"):
            if _open(system, address, int(port)):
                units = (
                    ["service:%s.service" % name for name in ("postfix", "postfix@-", "exim4")] if int(port) in (25, 465, 587) else ["service:dovecot.service"]
                )
                jobs.append(
                    (
                        "port %d" % int(port),
                        address,
                        int(port),
                        "",
                        MAIL.get(int(port), ""),
                        {
                            "paths": files.get("smtp" if int(port) in (25, 465, 587) else "imap", [])
                            + units
                            + ["mailport:%d" % int(port), "socket:0.0.0.0:%d" % int(port), "socket:[::]:%d" % int(port)]
                        },
                    )
                )
                break
    if not jobs:
        return None if sites is None and not files else {"items": {}, "summary": {"endpoints": 0}}
    if not system.which("openssl"):
        raise IntactError("the openssl command is not installed on this host: install the package openssl, it reads the certificates")
    now = datetime.datetime.now(datetime.timezone.utc)

    def look(job):
        subject, address, port, name, start, more = job
        found = endpoint(system, address, port, name, start, now)
        # a mail port may offer no TLS at all: that is a fact, not an error
        return (subject, None if start and found.get("error") == "no TLS" else dict(found, **more))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        items = {subject: item for subject, item in pool.map(look, jobs) if item}
    soonest = sorted(item["not_after"] for item in items.values() if "not_after" in item)
    return {
        "items": items,
        "summary": {"endpoints": len(items), "keys": len({i.get("key") for i in items.values()} - {None})},
        "soonest": soonest[0] if soonest else "",
    }


def _files(system, site):
    paths = [p for p in (site["certificate"], site["key"]) if p.startswith("/")]
    return sorted({escape(p) for p in paths} | {escape(system.realpath(p)) for p in paths})


def _sockets(site, port):
    return ["socket:%s:%d" % ("[%s]" % a if ":" in a else a, p) for a, p, _tls in site["listen"] if p == port]


def _mail_files(system):
    out = {}
    if system.which("postconf"):
        text = system.run(["postconf", "-h", "smtpd_tls_cert_file", "smtpd_tls_key_file", "smtpd_tls_chain_files"], check=False).text
        out["smtp"] = sorted({word for word in re.split(r"[,\s]+", text) if word.startswith("/")})
    elif _exim.program(system):
        found = _exim.settings(system, ("tls_certificate", "tls_privatekey"))
        out["smtp"] = sorted({path for path in found.values() if path.startswith("/")})
    if system.which("doveconf"):
        text = system.run(["doveconf", "-n"], check=False).text
        out["imap"] = sorted(set(re.findall(r"^\s*(?:ssl_cert|ssl_key|ssl_server_cert_file|ssl_server_key_file)\s*=\s*<?(/\S+)", text, re.MULTILINE)))
    for key, paths in out.items():
        out[key] = sorted(set(paths) | {system.realpath(p) for p in paths})
    return out


def _open(system, address, port):
    try:
        system.dial(address, port, 5).close()
    except OSError:
        return False
    return True


def endpoint(system, address, port, name, start, now):
    """What one listening address shows: {key, certificate, names, issuer, not_after, expired, sent, verify, floor} or {error}."""
    shown = "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)
    argv = (
        ["openssl", "s_client", "-connect", shown, "-showcerts"]
        + (["-servername", name] if name else ["-noservername"])
        + (["-starttls", start] if start else [])
    )
    try:
        result = system.run(argv, timeout=int(system.options.get("timeout", 20)), check=False)
    except IntactError as exc:
        return {"error": str(exc)}
    chain = _x509.from_pem(result.text)
    if not chain:
        if start and re.search(r"(?i)didn't find starttls|no starttls|wrong version", result.error + result.text):
            return {"error": "no TLS"}
        return {"error": (result.error.splitlines() or ["no certificate was shown"])[0][-200:]}
    try:
        leaf = _x509.read(chain[0])
    except ValueError as exc:
        return {"error": str(exc)}
    verdict = re.findall(r"Verify return code: (\d+) \(([^)]*)\)", result.text)
    return {
        "key": leaf["key"],
        "certificate": leaf["certificate"],
        "subject": leaf["subject"],
        "names": leaf["names"],
        "issuer": leaf["issuer"],
        "self_signed": leaf["self_signed"],
        "not_after": leaf["not_after"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expired": leaf["not_after"] < now,
        "sent": len(chain),
        "verify": "%s" % verdict[-1][1] if verdict else "",
        "floor": _floor(system, address, port, name, start),
    }


def _floor(system, address, port, name, start):
    """The oldest protocol that the server accepts, "" when none of the old ones could be tried."""
    for label, version in (("TLSv1", "TLSv1"), ("TLSv1.1", "TLSv1_1"), ("TLSv1.2", "TLSv1_2")):
        try:
            if _accepts(system, address, port, name, start, version):
                return label
        except (OSError, ValueError, IndexError):
            continue
    return "TLSv1.3"


def _accepts(system, address, port, name, start, version):
    context = _mailports.unverified()
    with warnings.catch_warnings():
        # asking for the old protocols is the point
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    sock = system.dial(address, port, 10)
    try:
        if start:
            talk = _mailports.Dialogue(sock)
            if start == "smtp":
                talk.smtp()
                talk.send("EHLO intact.invalid")
                talk.smtp()
                talk.send("STARTTLS")
                talk.smtp()
            elif start == "sieve":
                talk.until(lambda line: line.startswith(("OK", "NO", "BYE")))
                talk.send("STARTTLS")
                talk.line()
            else:
                talk.line()
                talk.send("a STARTTLS" if start == "imap" else "STLS")
                talk.line()
        sock = context.wrap_socket(sock, server_hostname=name or None)
        return True
    except ssl.SSLError:
        return False
    finally:
        sock.close()


# worst first; (id, severity, title, remedy)
KINDS = {
    "unanswered": ("blocker", "TLS is not answered", "look at the service's log and configuration"),
    "key.changed": ("blocker", "another private key is in use", "bring the certificate and its key back from the backup"),
    "expired": ("blocker", "the certificate has run out", "renew it, then reload the service"),
    "names.lost": ("blocker", "the certificate no longer names all hosts", "issue it for all names again"),
    "chain.broken": ("blocker", "the certificate's chain is no longer complete", "install the intermediate certificates beside it"),
    "protocol.weaker": ("warning", "an older TLS protocol is accepted than before", "compare the service's TLS settings with the backup"),
    "protocol.stricter": ("info", "the oldest TLS protocol is no longer accepted", ""),
    "unanswered.before": ("warning", "TLS shows no certificate, nor did it before", "look at the service's log and its certificate files"),
    "expired.before": ("warning", "the certificate has run out, as it had before", "renew it, then reload the service"),
    "recovered": ("info", "TLS answers where it did not before", ""),
}


def compare(before, after):
    """One finding for each thing that happened: endpoints that show the same change together are listed in one evidence."""
    old, new = before.get("items", {}), after.get("items", {})
    groups = {}
    for subject in sorted(old, key=lambda s: (s.startswith("port "), s)):
        now = new.get(subject, {"error": "it no longer offers TLS", "paths": old[subject]["paths"]})
        kind, was_word, now_word = judge(old[subject], now)
        if kind:
            groups.setdefault((kind, str(was_word), str(now_word)), []).append(subject)
    out = []
    for (kind, was_word, now_word), subjects in groups.items():
        severity, title, remedy = KINDS[kind]
        paths = sorted({p for s in subjects for p in old[s]["paths"] + new.get(s, {}).get("paths", [])})
        evidence = "%s, now %s" % (was_word, now_word)
        # what a service accepts is not in its certificate's file
        files = [] if severity != "blocker" else [{"section": "files", "path": p} for p in paths if p.startswith("/")]
        if len(subjects) > 1:
            evidence += "; at %s" % ", ".join(subjects[:8]) + (" and %d more" % (len(subjects) - 8) if len(subjects) > 8 else "")
        out.append(
            Finding(
                id="tls." + kind,
                severity=severity,
                subject=subjects[0],
                title=title,
                evidence=evidence,
                remedy=remedy,
                check="QF12",
                details=_compare.details("still" if kind.endswith(".before") else "changed", kind, was_word, now_word, paths=paths, endpoints=subjects),
                covers=files + [{"section": "sites", "path": "tls:" + s} for s in subjects],
            )
        )
    for subject in sorted(set(new) - set(old)):
        if "error" not in new[subject]:
            out.append(
                Finding(
                    id="tls.new",
                    severity="info",
                    subject=subject,
                    title="TLS is offered where it was not before",
                    evidence="certificate for %s" % ", ".join(new[subject]["names"][:5]),
                    check="QF12",
                    details=_compare.details("new", paths=new[subject]["paths"]),
                )
            )
    return out


def judge(was, now):
    """(kind, before, after in words) of the worst thing that happened to one endpoint, or (None, "", "")."""
    if "error" in now:
        return ("unanswered.before", was["error"], now["error"]) if "error" in was else ("unanswered", "certificate of %s" % was["issuer"], now["error"])
    if "error" in was:
        return "recovered", was["error"], "certificate of %s" % now["issuer"]
    if was["key"] != now["key"]:
        return "key.changed", _shown(was), _shown(now)
    if now["expired"] and not was["expired"]:
        return "expired", "valid until %s" % was["not_after"], "it ran out on %s" % now["not_after"]
    if set(was["names"]) - set(now["names"]):
        return "names.lost", ", ".join(was["names"]), ", ".join(now["names"])
    if was["verify"] != now["verify"] and was["verify"] == "ok" or (now["sent"] < was["sent"] and now["verify"] != "ok"):
        return "chain.broken", "%d certificates sent (%s)" % (was["sent"], was["verify"]), "%d certificates sent (%s)" % (now["sent"], now["verify"])
    if was["floor"] != now["floor"]:
        stricter = PROTOCOLS.index(now["floor"]) > PROTOCOLS.index(was["floor"])
        return "protocol.stricter" if stricter else "protocol.weaker", was["floor"], now["floor"]
    if now["expired"]:
        return "expired.before", "valid until %s" % was["not_after"], "still the same"
    return None, "", ""


def _shown(item):
    return "key %s… for %s by %s until %s" % (
        item["key"][:16],
        ", ".join(item["names"][:3]),
        "itself" if item["self_signed"] else item["issuer"],
        item["not_after"][:10],
    )
