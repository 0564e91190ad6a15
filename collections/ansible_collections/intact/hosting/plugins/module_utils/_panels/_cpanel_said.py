# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. What cPanel's programs say: pkgacct's and restorepkg's transcripts, and the answers of its API."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from ansible_collections.intact.hosting.plugins.module_utils._panels import _accounts, _inventory

REFUSED, FULL, SAID = "panel.database.refused", "panel.space", "panel.said"
# Patterns by which cPanel's own backup throws an archive away (support.cpanel.net 1500006505921), and those that its transfer tool stops at.
ERRORS = tuple(
    (ident, re.compile(pattern, re.I))
    for ident, pattern in (
        (REFUSED, r"can't connect to (?:local )?(?:mysql|mariadb)|\berror while connecting to mysql|CR_CONNECTION_ERROR|got error: (?:2002|2003|2013|1045)"),
        (FULL, r"no space left on device|disk quota exceeded"),
        (SAID, r"(?:unable|could not|cannot|can't|failed) (?:to )?(?:get|determine) (?:the )?user id"),
        (SAID, r"(?:unable|could not|cannot|can't|failed) (?:to )?load (?:the )?(?:cpanel )?user data"),
        (SAID, r"copying root\b"),
        (SAID, r"failed to copy|could not use (?:the )?daily backup"),
        (SAID, r"bailing out|exiting with error code"),
        (SAID, r"REMOTE_PASSWORD|no domain name"),
        (SAID, r"hook\b.*\bdenied|denied by .*\bhook"),
        (SAID, r"could not (?:open|chmod|rename|create|remove)\b"),
        (SAID, r"unable to (?:fork|waitpid|read)\b"),
        (SAID, r"failure dumping|not valid XML"),
        (SAID, r"mysqldump: (?:got error|error|couldn't)|mysqldump failed|\u201cmysql\u201d.*failed with an error"),
        (SAID, r"failed to generate metadata"),
        (SAID, r"(?:^|\s)mysqladmin: |(?:^|\s)ERROR: "),
    )
)
# What restorepkg says of a module that failed is not documented: a word of failure in a line is one, a count of none is not.
FAILED = re.compile(r"\b(?:failed|failure|error|could not|cannot|unable to|aborted|may not|exists already)\b", re.I)
NONE_FAILED = re.compile(r"\b(?:0|no|without) (?:failed|failures?|errors?)\b|\b(?:failed|failures?|errors?): 0\b", re.I)
STAMP = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] ?")


class Transcript(NamedTuple):
    """What one run of pkgacct said. complaints: [(finding id, line)]."""

    user: str
    ended: bool
    path: str
    md5: str
    size: int
    complaints: tuple


def package(text):
    """The Transcript of pkgacct's words. The last of each line counts; a stamp may be in the middle of a line."""
    lines = [part.strip() for line in text.split("\n") for part in STAMP.split(line)]
    last = {}
    for line in lines:
        found = re.match(r"(pkgacctfile|md5sum|size) is: (\S+)\Z", line)
        if found:
            last[found.group(1)] = found.group(2)
    user = re.search(r"pkgacct version \d+ - user : (\S+)", text)
    size = last.get("size", "")
    return Transcript(
        user.group(1) if user else "",
        "pkgacct completed" in lines,
        last.get("pkgacctfile", ""),
        last.get("md5sum", "").lower(),
        int(size) if size.isdigit() else -1,
        tuple(complaints(lines)),
    )


def complaints(lines):
    """[(finding id, line)] of the lines that mean a failure, each once."""
    out = []
    for line in lines:
        ident = next((ident for ident, pattern in ERRORS if pattern.search(line)), None)
        if ident and (ident, line) not in out:
            out.append((ident, line))
    return out


def restored(text):
    """[line] of a restore's words that mean a failure."""
    lines = [STAMP.sub("", line).strip() for line in text.split("\n")]
    found = [line for _ident, line in complaints(lines)]
    return found + [line for line in lines if FAILED.search(line) and not NONE_FAILED.search(line) and line not in found]


def told(panel, user, databases, said, remedy):
    """Findings of complaints; a line that names one of the databases is about this one."""
    titles = {REFUSED: "the database server refused while it was packed", FULL: "the disk was full while it was packed", SAID: "what was said means a failure"}
    found = {}
    for ident, line in said:
        about = next((name for name in sorted(databases, key=len, reverse=True) if re.search(r"(?<![\w.-])%s(?![\w-])" % re.escape(name), line)), None)
        key = (ident, "database" if about else "customer", about or user)
        found.setdefault(key, []).append(_accounts.redact(line)[:300])
    return [
        _inventory.finding(ident, panel, kind, name, titles[ident], "; ".join(lines[:3]), remedy, lines=len(lines))
        for (ident, kind, name), lines in found.items()
    ]


def answer(result):
    """(data, why not) of whmapi1: exit 0 proves nothing, metadata.result or status does."""
    try:
        document = json.loads(result.text)
    except ValueError:
        return None, "it gave no JSON (status %d): %s" % (result.rc, _accounts.redact((result.error or result.text).strip()[-200:]))
    if not isinstance(document, dict):
        return None, "its answer is no object"
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and str(metadata.get("result")) == "1" and result.rc == 0:
        return document.get("data") or {}, ""
    reason = (metadata or {}).get("reason") if isinstance(metadata, dict) else document.get("statusmsg")
    return None, "%s (status %d)" % (_accounts.redact(str(reason or "it gives no reason"))[:300], result.rc)
