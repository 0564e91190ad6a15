# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. The small files that panels with one archive for each account keep: settings, zones, crontabs, aliases, certificates, users of databases."""

from __future__ import annotations

import hashlib
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory

SECRETS = (
    (re.compile(r"(IDENTIFIED (?:BY|WITH)(?: PASSWORD| '[^']*' AS| [^ ]* AS)? )'[^']*'", re.I), r"\1'***'"),
    (re.compile(r"\$[0-9a-zA-Z]{1,8}\$[^\s:'\"]+"), "***"),
    (re.compile(r"\*[0-9A-F]{40}\b"), "***"),
    (re.compile(r"((?:pass(?:wd|word)?|secret|token|api_?key)[\"']?\s*(?:[=:]|%3D)\s*)[^\s&,;]+", re.I), r"\1***"),
    (re.compile(r"(--password=|\s-p)\S+"), r"\1***"),
    (re.compile(r"(://[^\s/:@]+:)[^\s/@]+@"), r"\1***@"),
)
_YAML = re.compile(r"( *)(- +)?(?:([^\s:#][^:]*?):(?: +(.*))?|(.*))\Z")


def redact(text):
    """A line of a transcript without what may be a secret."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def settings(data, separator="="):
    """{key: value} of KEY=VALUE lines; comments and lines without the separator are left out."""
    out = {}
    for line in lines(data):
        key, found, value = line.partition(separator)
        if found and not line.startswith("#"):
            out[key.strip()] = value.strip()
    return out


def lines(data):
    """Text lines of a file's bytes (None for a file that is not there), without the empty ones."""
    text = (data or b"").decode("utf-8", "surrogateescape") if not isinstance(data, str) else data
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def userdata(data):
    """The two levels of YAML that cPanel's userdata files have: {key: text, list of texts, or {key: text}}."""
    out, above = {}, None
    for line in lines(data):
        if line.startswith(("#", "---")):
            continue
        indent, dash, key, value, plain = _YAML.match(line).groups()
        if not indent and not dash and key is not None:
            above = _bare(key)
            out[above] = {"{}": {}, "[]": [], "": {}}.get((value or "").strip(), _bare(value or ""))
        elif above is not None and dash:
            if not isinstance(out[above], list):
                out[above] = []
            out[above].append(_bare("%s: %s" % (key, value) if key is not None and value else (key or plain or "")))
        elif above is not None and key is not None and isinstance(out[above], dict):
            out[above][_bare(key)] = _bare(value or "")
    return out


def _bare(text):
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def records(data):
    """How many records a zone file has besides its SOA."""
    text = "\n".join(re.sub(r';.*|"[^"]*"', lambda m: "" if m.group().startswith(";") else '""', line) for line in lines(data))
    text = re.sub(r"\([^)]*\)", lambda m: m.group().replace("\n", " "), text)
    held = [line for line in text.split("\n") if line.strip() and not line.startswith("$")]
    return sum(1 for line in held if not re.search(r"\sSOA\s", line, re.I))


def crontab(user, entries):
    """{name: attributes} of crontab lines. The name tells whose and when; what is run may hold a password, so it is only a digest."""
    out = {}
    for line in entries:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        when = re.match(r"(@\w+|(?:\S+\s+){4}\S+)\s+(\S.*)", line)
        variable = re.match(r"(\w+)\s*=\s*(.*)", line)
        if variable and not when:
            name, what = variable.groups()
        elif when:
            name, what = " ".join(when.group(1).split()), when.group(2)
        else:
            name, what = "unreadable", line
        digest = _inventory.secret(what)
        out["%s: %s #%s" % (escape(user), escape(name), hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:8])] = {
            "owner": user,
            "command": digest,
        }
    return out


def targets(text):
    """Where an alias goes: sorted addresses. What is none may be a program that is given a password, so only its kind and a digest are told."""
    out = []
    for part in re.findall(r'"(?:[^"\\]|\\.)*"|[^,]+', text):
        part = part.strip().strip('"').strip()
        if re.match(r"[\w.+*@=-]+\Z", part):
            out.append(escape(part))
        elif part:
            kind = next((word for word in (":fail:", ":blackhole:", ":include:", ":defer:") if part.startswith(word)), "program" if "|" in part else "other")
            out.append("%s %s" % (kind, _inventory.secret(part)))
    return sorted(set(out))


def certificate(data):
    """{certificate, key}: digests of the first certificate and of the private key in PEM text; "" for what is not there."""
    text = (data or b"").decode("ascii", "replace")
    first = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.S)
    key = re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", text, re.S)
    return {name: _inventory.secret("".join(found.group().split())) if found else "" for name, found in (("certificate", first), ("key", key))}


def passwords(data):
    """{name: [fields]} of lines like those of /etc/passwd."""
    return {fields[0]: fields for fields in (line.split(":") for line in lines(data)) if fields[0] and not fields[0].startswith("#")}


def hashed(value):
    """A password's hash as an attribute: its digest, or what a locked or empty one says."""
    return _inventory.secret(value) if value not in ("", "*", "!", "!!", "x") else ""


def native(hashes):
    """Sorted digests of the hashes of a MySQL user; None when one is of a newer kind, which archives write in other ways than the server."""
    held = {value for value in hashes if value}
    return sorted(_inventory.secret(value) for value in held) if all(value.startswith("*") for value in held) else None


def plain(name):
    """Whether a name from a file may become part of a path, an argument or a statement."""
    return bool(re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z", name)) and ".." not in name
