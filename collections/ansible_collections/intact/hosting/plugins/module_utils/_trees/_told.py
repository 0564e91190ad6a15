# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a copy tells: findings (the first of each kind one by one, then how many more), and how far it is."""

from __future__ import annotations

import time

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

EACH = 20
# kinds that one reason brings about for every file: told once
TOGETHER = ("cached",)
PAUSE = 2.0
# kind: severity, title, remedy
KINDS = {
    "changed-while-read": ("warning", "%s changed while it was read", "Stop what writes there and copy again: what was taken may be half old, half new"),
    "unreadable": ("blocker", "%s could not be read", "If the disk fails, make an image first (legacy_image); else look at the evidence and copy again"),
    "unwritable": ("blocker", "%s could not be written", "Look at the evidence (room, quota, rights of the target) and copy again"),
    "unkept": ("warning", "%s has something that the target can't keep", "Take a target on ext4, XFS or btrfs, or decide that it is not needed"),
    "not-made": (
        "warning",
        "%s is a socket or a device and was not made",
        "Servers make their sockets themselves; a device below customers' files has no place there",
    ),
    "kept": ("warning", "%s was there already and stays as it is", "Compare both; with existing: aside the copy takes its place"),
    "refused": ("blocker", "%s was there already and differs", "Compare both, put the target's aside, or take existing: aside"),
    "aside": ("warning", "%s was there already, it was put aside", "Look whether what was put aside has something newer, then remove it"),
    "directory": ("warning", "%s was there already with other rights", "It has the source's now; look whether that is what its users need"),
    "swapped": ("blocker", "%s was exchanged while it was worked on", "Somebody writes to the target's tree: stop that, look at it and copy again"),
    "links-outside": ("warning", "%s has hard links that are not below the source", "Copy the tree that holds all of its names, or accept that they part"),
    "too-deep": ("blocker", "%s lies too deep", "Look at who made that, and move it up or exclude it"),
    "excluded": ("info", "%s was left out", ""),
    "merged-acl": ("warning", "%s has access entries of two accounts that become one", "What both had was kept; look whether more is wanted"),
    "cached": ("warning", "%s could not be dropped from memory", "It was compared from memory, not from the device: stop what holds it open and verify again"),
    "difference": ("blocker", "%s differs from the manifest", "Copy again; if it stays, look at the disk below the target"),
    "rsync": ("blocker", "%s differs in rsync's eyes", "Look at both; rsync's letters are explained in its manual under --itemize-changes"),
}


class Told:
    """Findings of one run: add(kind, path, evidence). counts: {kind: number}."""

    def __init__(self, prefix="tree", top=b""):
        self.prefix, self.top = prefix, top
        self.counts, self.first = {}, {}

    def add(self, kind, path, evidence="", details=None):
        """path: bytes below the top, b"" for the top."""
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        if number <= EACH:
            self.first.setdefault(kind, []).append((self.subject(path), evidence, details or {}))

    def subject(self, path):
        """How an operator reads a path."""
        return escape(self.top + b"/" + path if path else self.top or b".")

    def findings(self):
        """[Finding], blockers first."""
        out = []
        for kind, entries in self.first.items():
            severity, title, remedy = KINDS[kind]
            name = "%s.%s" % (self.prefix, kind)
            if kind in TOGETHER and self.counts[kind] > 1:
                number, subject = self.counts[kind], escape(self.top) or "."
                said = "%d entries, such as %s" % (number, entries[0][0])
                out.append(Finding(name, severity, subject, title % ("%d entries: each" % number), said, remedy, details={"entries": number}))
                continue
            for subject, evidence, details in entries:
                out.append(Finding(name, severity, subject, title % subject, evidence, remedy, details=details))
            more = self.counts[kind] - len(entries)
            if more:
                said = "%d more are like the %d named ones" % (more, len(entries))
                out.append(Finding(name, severity, escape(self.top) or ".", title % ("more: %d entries: each" % more), said, remedy, details={"more": more}))
        return sorted(out, key=lambda finding: ("blocker", "warning", "info").index(finding.severity))


class Progress:
    """Bytes and files so far. progress(dict(bytes, files, total_bytes, total_files, seconds, eta)) and tell(line) are called at most every PAUSE seconds."""

    def __init__(self, tell=None, progress=None, totals=None):
        self.tell, self.progress = tell, progress
        self.total_files, self.total_bytes = totals or (None, None)
        self.bytes = self.files = 0
        self.began = self.last = time.monotonic()

    def tick(self, count=0):
        """count more bytes."""
        self.bytes += count
        if time.monotonic() - self.last >= PAUSE:
            self.say()

    def say(self):
        """Tell now."""
        self.last = time.monotonic()
        spent = self.last - self.began
        shares = [done / total for done, total in ((self.bytes, self.total_bytes), (self.files, self.total_files)) if total]
        share = min(shares) if shares else 0
        eta = round(spent / share - spent) if share else None
        if self.progress:
            numbers = {"bytes": self.bytes, "files": self.files, "total_bytes": self.total_bytes, "total_files": self.total_files}
            self.progress(dict(numbers, seconds=round(spent, 1), eta=eta))
        if self.tell:
            of = " of %d" % self.total_files if self.total_files else ""
            rest = ", %d s left" % eta if eta is not None else ""
            self.tell("%d%s files, %.1f MB, %.1f MB/s%s" % (self.files, of, self.bytes / 1e6, self.bytes / 1e6 / max(spent, 0.001), rest))
