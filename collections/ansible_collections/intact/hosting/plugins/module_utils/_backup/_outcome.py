# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What restic's end means: exit code and messages of every version become one kind, and a kind becomes findings. Pure."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

KINDS = ("ok", "partial", "no-repository", "locked", "wrong-password", "full", "unreachable", "clock", "damaged", "refused", "interrupted", "failed")
# Codes that say it all; 1 and 2 don't, and a code that is not documented is a failure. 10 and 11 since restic 0.17.0, 12 since 0.17.1.
CODES = {0: "ok", 3: "partial", 10: "no-repository", 11: "locked", 12: "wrong-password", 130: "interrupted"}
# The first that is found decides: what names a cause stands before what names only its effect.
MESSAGES = (
    ("clock", r"RequestTimeTooSkewed|certificate has expired or is not yet valid|request time .* too (large|skewed)"),
    ("wrong-password", r"wrong password or no key found|an empty password is not (allowed|a password)|empty password"),
    (
        "wrong-password",
        r"HTTP response \(401\)|: 401 Unauthorized|InvalidAccessKeyId|SignatureDoesNotMatch|Access ?Denied|Permission denied \((publickey|password)",
    ),
    # 403 is about the credentials, but where something is written: an append-only server forbids to write over what a first try left behind.
    ("wrong-password", r"(?m:^)(?![^\n]*(Save\(|Remove\(|unable to (save|remove)))[^\n]*HTTP response \(403\)"),
    ("locked", r"repository is already locked"),
    ("full", r"no space left on device|disk quota exceeded|quota exceeded|XMinioStorageFull|InsufficientStorage|Insufficient Storage"),
    # SFTP has no word for a full disk; what a server denies, it says in others.
    ("full", r"Save\([^\n]*SSH_FX_FAILURE"),
    # A REST server does not say why it cannot write: 507 is its own limit, 500 nearly always its disk. That it can be read is known by then.
    ("full", r"Save\([^\n]*(server response unexpected|HTTP response)[^\n]*\b50[07]\b"),
    ("unreachable", r"connection (refused|reset|lost)|no such host|no route to host|network is unreachable|i/o timeout|TLS handshake|broken pipe|x509:"),
    ("unreachable", r"use of closed network connection|Client\.Timeout|context deadline exceeded|server misbehaving|unable to start the sftp session"),
    ("unreachable", r"Temporary failure in name resolution|Could not resolve hostname|Host key verification failed|ssh command exited"),
    ("unreachable", r"server gave HTTP response to HTTPS client|\b50[234] (Bad Gateway|Service Unavailable|Gateway)"),
    ("damaged", r"config or key \S+ is damaged|invalid data returned|ciphertext verification failed|repository contains errors|LoadIndex returned errors"),
    (
        "damaged",
        r"Pack ID does not match|not found in (index|repository)|StreamPack:|(could not|failed to) load snapshot|Fatal: Unmarshal|hash does not match id",
    ),
    ("damaged", r"Load\(<(data|index|snapshot|key)/[^\n]*(no such file|does not exist|404)"),
    ("no-repository", r"Is there a repository at the following location|repository does not exist|NoSuchBucket"),
    ("refused", r"\b403 Forbidden|refusing to overwrite|append-only"),
    ("interrupted", r"signal interrupt received|context canceled"),
)
IDS = {
    "no-repository": "backup.repository.missing",
    "locked": "backup.repository.locked",
    "wrong-password": "backup.repository.password",
    "full": "backup.repository.full",
    "unreachable": "backup.repository.unreachable",
    "clock": "backup.clock",
    "damaged": "backup.repository.damaged",
    "refused": "backup.repository.refused",
    "interrupted": "backup.snapshot.incomplete",
    "failed": "backup.repository.failed",
}
SENTENCES = {
    "no-repository": (
        "there is no repository",
        "check its address; a new repository is made by the role with init, an old one that is gone must be found again",
    ),
    "locked": (
        "the repository is locked by another process",
        "let that process end; a lock whose process is dead is taken away by the next run when it was this host's",
    ),
    "wrong-password": (
        "the repository does not open: password or credentials are refused, or its keys are gone",
        "compare the password file and the environment file with the vault's; look for the keys directory of the repository",
    ),
    "full": ("the repository takes no more data", "make room on the repository's disk or raise its quota, then back up again"),
    "unreachable": (
        "the repository cannot be reached, or the connection was cut",
        "check network, name, port, certificate and the server's service, then back up again",
    ),
    "clock": ("the clocks of this host and of the repository's server differ", "set the clock (timedatectl set-ntp true) on the one that is wrong"),
    "damaged": ("the repository is damaged", "do not prune; run backup_check with read-data on it, restore from the other repository, and make a fresh copy"),
    "refused": ("the server refuses to change or remove what it holds", "that is what append-only means: prune from the server's side, never from this host"),
    "interrupted": ("the work was interrupted before its snapshot was written", "run it again: what was already sent is not sent twice"),
    "failed": ("restic failed", "read what it said, and run it by hand with the same job"),
}
# What restic 0.18 ends well with although it could not do it.
KEPT = re.compile(r"unable to remove <?(snapshot|data|index|key)/")
SKIPPED = re.compile(r"(could not|failed to) load snapshot|invalid data returned|^Ignoring \"", re.M)
RETRY = re.compile(r"(?P<what>(Save|Load|Stat|Remove|List|Test|Delete)\([^\n]*?\)) (returned error, retrying|operation failed)", re.I)


@dataclass
class Outcome:
    """How one call of restic ended. kind: one of KINDS; summary: its last JSON summary; unreadable: [(name as bytes, why)]; snapshot: id or ""."""

    kind: str
    rc: int
    said: str = ""
    summary: dict = field(default_factory=dict)
    snapshot: str = ""
    unreadable: list = field(default_factory=list)
    seconds: float = 0.0
    out: bytes = b""

    @property
    def ok(self):
        """Only a full success is one: a snapshot that lacks what could not be read is none."""
        return self.kind == "ok"

    def findings(self, repository, klass="", what=""):
        """[] for ok; else findings that name repository, class and object."""
        if self.kind in ("partial", "failed") and self.unreadable:
            return [_unreadable(repository, klass, name, why) for name, why in self.unreadable]
        if self.kind == "partial":
            return [_unnamed(self, repository, klass)]
        return [] if self.ok else [finding(self.kind, repository, klass, what, self.evidence)]

    @property
    def evidence(self):
        """What restic said last, without the traces of its program's inside and without the repetitions of its retries."""
        lines = [line for line in self.said.splitlines() if line.strip() and not re.match(r"\s|github\.com/|golang\.org/|main\.|runtime\.|\x1b", line)]
        retries = [line for line in lines if RETRY.search(line)]
        lines = [line for line in lines if not RETRY.search(line)]
        if retries:
            # What it met first is the cause; a later answer may only be about what the first try left behind.
            lines.append("tried %d times: %s" % (len(retries), retries[0]))
        # -1: there was no process (restic itself ignores signal 1).
        end = "status %d" % self.rc if self.rc >= 0 else "not started" if self.rc == -1 else "killed by signal %d" % -self.rc
        return ("; ".join(lines[-4:]) or "no message")[:1500] + " (%s)" % end


class ResticError(IntactError):
    """A call whose answer was needed ended otherwise; outcome tells how, findings() what to report."""

    def __init__(self, outcome, repository, doing):
        title, remedy = SENTENCES.get(outcome.kind, SENTENCES["failed"])
        super().__init__("repository %s, %s: %s (%s); %s" % (repository, doing, title, outcome.evidence, remedy), repository=repository, kind=outcome.kind)
        self.outcome, self.repository = outcome, repository

    def findings(self, klass="", what=""):
        """The outcome's findings."""
        return self.outcome.findings(self.repository, klass, what)


def subject(repository, klass="", what=""):
    """Repository, class and object in one line."""
    return " ".join(part for part in (repository, klass, what) if part)


def finding(kind, repository, klass="", what="", evidence="", **details):
    """The finding of a kind."""
    title, remedy = SENTENCES[kind]
    return Finding(
        id=IDS[kind],
        severity="blocker",
        subject=subject(repository, klass, what),
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=dict(details, repository=repository, **{"class": klass, "kind": kind}),
    )


def _unreadable(repository, klass, name, why):
    path = escape(name)
    return Finding(
        id="backup.source.unreadable",
        severity="blocker",
        subject=subject(repository, klass, path),
        title="is not in the snapshot: it could not be read",
        evidence=why,
        remedy="look at its disk and its file system; exclude it with a reason when it need not be kept",
        details={"repository": repository, "class": klass, "paths": [path]},
    )


def _unnamed(outcome, repository, klass):
    return Finding(
        id="backup.snapshot.incomplete",
        severity="blocker",
        subject=subject(repository, klass),
        title="something could not be read, and restic does not say what",
        evidence=outcome.evidence,
        remedy="run the class again",
        details={"repository": repository, "class": klass},
    )


def classify(rc, said, stopped=""):
    """The kind for an exit code and everything that was said on standard error. stopped: why we ended it ourselves (gave-up, aborted), or ""."""
    if stopped == "aborted":
        return "interrupted"
    if rc in CODES and not stopped:
        if rc == 0 and KEPT.search(said):
            return "refused"
        # `snapshots` and `ls` skip a snapshot that they can't read or find, and end well.
        return "damaged" if rc == 0 and SKIPPED.search(said) else CODES[rc]
    if rc < 0 and not stopped:
        return "interrupted"
    for kind, pattern in MESSAGES:
        if re.search(pattern, said, re.I):
            return kind
    return "unreachable" if stopped else "failed"


def errors(said):
    """[(name as restic's JSON tells it, why)] of the error messages on standard error; missing sources, for which restic 0.14 ends with 0, included. Pure."""
    out = []
    for line in said.splitlines():
        if line.startswith("{"):
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if message.get("message_type") == "error":
                why = message.get("error") or {}
                text = _why(why) if isinstance(why, dict) else str(why)
                out.append((str(message.get("item") or ""), "%s: %s" % (message.get("during") or "reading", text or "no reason given")))
        elif line.endswith(" does not exist, skipping"):
            out.append((line[: -len(" does not exist, skipping")], "does not exist"))
    # The scanner and the archiver complain of the same name.
    return sorted({name: why for name, why in out if name}.items())


def _why(error):
    """The reason in an error of restic's JSON: a message since 0.18, Go's own structure before, with a number for what the system said."""
    number = error.get("Err")
    said = os.strerror(number) if isinstance(number, int) else str(number or "")
    return error.get("message") or " ".join(part for part in (str(error.get("Op") or ""), said if said != "{}" else "") if part)
