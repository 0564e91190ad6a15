# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""One HTTP request to one of the host's own addresses, and what is kept of the answer: digests and a few words, never the page."""

from __future__ import annotations

import html
import http.client
import re
import socket
import ssl
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests

AGENT = "Mozilla/5.0 (compatible; Intact baseline)"

# What differs between two looks at the same page without anybody having changed it. Applied to the page before anything else.
NORMALISE = [
    {
        "pattern": r"(?i)(name=[\"'](?:_wpnonce|csrf[\w-]*|_?token|sectok|authenticity_token|form_build_id|"
        r"wpEditToken|__RequestVerificationToken)[\"'][^>]*?value=)[\"'][^\"']*[\"']",
        "replace": r"\1''",
        "reason": "tokens against forged requests",
    },
    {
        "pattern": r"(?i)(value=)[\"'][^\"']*[\"']([^>]*?name=[\"'](?:_wpnonce|csrf[\w-]*|_?token|sectok|authenticity_token|form_build_id|wpEditToken)[\"'])",
        "replace": r"\1''\2",
        "reason": "tokens against forged requests",
    },
    {
        "pattern": r"(?i)<meta[^>]+name=[\"'](?:csrf-token|generator)[\"'][^>]*>",
        "replace": "",
        "reason": "tokens; the application's version, which an upgrade raises",
    },
    {"pattern": r"(?i)<generator[^>]*>.*?</generator>", "replace": "", "reason": "the version of the application in a feed"},
    {"pattern": r"(?i)<lastBuildDate>.*?</lastBuildDate>", "replace": "", "reason": "the time at which a feed was made"},
    {"pattern": r"(?i)\bnonce=[\"'][^\"']*[\"']", "replace": "", "reason": "tokens of the content security policy"},
    {"pattern": r"(?i)([?&](?:amp;)?(?:ver|v|tseed|_wpnonce|sectok|t)=)[\w.-]+", "replace": r"\1", "reason": "versions and tokens in addresses"},
    {"pattern": r"(?i)(taskrunner\.php\?[^\"']*)", "replace": "taskrunner.php", "reason": "DokuWiki's indexer carries the time"},
    {"pattern": r"(?is)<!--.*?-->", "replace": "", "reason": "comments carry times and cache states"},
    {"pattern": r"(?i)\b(?:PHPSESSID|sid|session_id)=[\w-]+", "replace": "", "reason": "session numbers"},
    {"pattern": r"(?i)\b\d+ (?:queries|database queries)\b", "replace": "", "reason": "counts of queries"},
    {
        "pattern": r"(?i)\b(?:generated|rendered|loaded|served|created|took|executed)\b([^<\n]{0,20}?)\d+[.,]\d+ ?(?:ms|s|sec|seconds)?\b",
        "replace": r"\1",
        "reason": "times that making the page took",
    },
    {"pattern": r"\b(?:PHP|nginx|Apache|OpenSSL)/\d[\w.+~-]*(?: \(Debian\))?", "replace": "", "reason": "versions that an upgrade raises"},
    {"pattern": r"<address>Apache.*?</address>", "replace": "", "reason": "versions that an upgrade raises"},
]


def rules(extra=()):
    """Compiled [(pattern, replacement)] of the default rules and the operator's own."""
    return [(re.compile(rule["pattern"]), rule.get("replace", "")) for rule in list(NORMALISE) + list(extra)]


def visible(page):
    """The lines of text that a visitor reads, without markup, scripts and styles."""
    page = re.sub(r"(?is)<(script|style|noscript|template|svg)\b.*?</\1\s*>", " ", page)
    page = re.sub(
        r"(?i)<(?:br|/?p|/?div|/?li|/?h\d|/?tr|/?td|/?section|/?article|/?header|/?footer|/?nav|/title|/?ul|/?ol|/?main|/?figure|/?table)\b[^>]*>", "\n", page
    )
    text = html.unescape(re.sub(r"(?s)<[^>]*>", "", page))
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.split("\n")]
    return [line for line in lines if line]


def describe(status, headers, body, compiled):
    """What is kept of an answer: {status, location, type, title, words, text, markup, lines}."""
    kind = (headers.get("content-type") or "").split(";")[0].strip().lower()
    charset = re.search(r"charset=[\"']?([\w-]+)", headers.get("content-type") or "", re.IGNORECASE)
    out = {"status": status, "type": kind}
    if headers.get("location"):
        out["location"] = headers["location"]
    if not (kind.startswith("text/") or kind.endswith(("xml", "json", "javascript")) or (not kind and b"\x00" not in body)):
        return dict(out, title="", words="", text=_digests.short(body), markup=_digests.short(body), lines=[])
    try:
        page = body.decode(charset.group(1) if charset else "utf-8", "replace")
    except LookupError:
        page = body.decode("utf-8", "replace")
    for pattern, replacement in compiled:
        page = pattern.sub(replacement, page)
    title = re.search(r"(?is)<title[^>]*>(.*?)</title>", page)
    lines = visible(page) if "<" in page else [line.strip() for line in page.splitlines() if line.strip()]
    words = " ".join(" ".join(lines).split()[:14])
    # the application's own file names and inline styles may change with its version, what people read may not
    return dict(
        out,
        title=html.unescape(re.sub(r"\s+", " ", title.group(1))).strip()[:120] if title else "",
        words=words[:160],
        text=_digests.short("\n".join(lines)),
        # scripts written into the page carry tokens, times and translations
        markup=_digests.short(re.sub(r"\s+", " ", re.sub(r"(?is)(<script\b[^>]*>).*?</script\s*>", r"\1", page))),
        lines=[_digests.short(line)[:8] for line in lines[:400]],
    )


def _connection(system, address, port, tls, name, timeout):
    connection = http.client.HTTPConnection(name, port, timeout=timeout)
    sock = system.dial(address, port, timeout)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # whether the certificate is good is the tls section's question
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            sock = context.wrap_socket(sock, server_hostname=name)
        except (OSError, ssl.SSLError):
            sock.close()
            raise
    connection.sock = sock
    return connection


def get(system, address, port, tls, name, path, compiled, timeout=20, limit=4 * 2**20):
    """describe() of one answer, or {"error": sentence}. limit: bytes of the body that are read."""
    default = 443 if tls else 80
    host = name if port == default else "%s:%d" % (name, port)
    try:
        connection = _connection(system, address, port, tls, name, timeout)
        try:
            connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
            for header, value in (
                ("Host", host),
                ("User-Agent", AGENT),
                ("Accept", "text/html,*/*;q=0.8"),
                ("Accept-Encoding", "identity"),
                ("Connection", "close"),
            ):
                connection.putheader(header, value)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read(limit)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as exc:
        return {"error": _sentence(exc)}
    headers = {k.lower(): v for k, v in response.getheaders()}
    return describe(response.status, headers, body, compiled)


def _sentence(exc):
    if isinstance(exc, socket.timeout):
        return "no answer in time"
    if isinstance(exc, ssl.SSLError):
        return "TLS failed: %s" % (exc.reason or "no reason given")
    if isinstance(exc, OSError):
        return exc.strerror or type(exc).__name__
    return "the connection was closed" if isinstance(exc, http.client.BadStatusLine) else type(exc).__name__


def follow(system, address, port, tls, name, path, compiled, hops=5, **more):
    """get() of a path, following redirects as long as they stay with the same name, scheme and port; chain lists them."""
    chain, here = [], "%s://%s" % ("https" if tls else "http", name if port == (443 if tls else 80) else "%s:%d" % (name, port))
    while True:
        answer = get(system, address, port, tls, name, path, compiled, **more)
        location = answer.pop("location", None)
        if not location:
            break
        target = urllib.parse.urljoin(here + path, location)
        for pattern, replacement in compiled:
            location = pattern.sub(replacement, location)
        chain.append("%d %s" % (answer["status"], location))
        parts = urllib.parse.urlsplit(target)
        same = "%s://%s" % (parts.scheme, parts.netloc.lower()) in (here, here + (":443" if tls else ":80"))
        if not same or len(chain) >= hops or target in (here + path,):
            break
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return dict(answer, chain=chain) if chain else answer
