# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class files: every tree of the old disk against the one on this host, both read anew from their devices; owners by the accounts that are really here."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._migration import _files_trees
from ansible_collections.intact.hosting.plugins.module_utils._trees import _compare, _manifest, _record

NAME = "files"
# By their whole names: below a customer's dovecot-2.3/ nothing is Dovecot's.
DOVECOT_INDEX = tuple(
    "*/dovecot.%s%s" % (name, more)
    for name in ("index", "list.index", "map.index", "mailbox")
    for more in ("", ".log", ".log.[0-9]", ".cache", ".thread", ".pvt", ".pvt.log")
)
DOVECOT = DOVECOT_INDEX + tuple("*/dovecot-" + name for name in ("uidlist", "keywords", "acl-list", "uidvalidity", "uidvalidity.[0-9a-f]" + "[0-9a-f]" * 7))
SUMS = ("files", "links", "directories", "bytes")
RULES = [
    {
        "change": "extra",
        "attribute": "since",
        "reason": "it was on the new host before the migration began",
        "when": lambda began, since: since < began,
    },
    {"attribute": "time of the directory", "reason": "a directory's time follows its entries, and each of them is compared by itself"},
    {
        "attribute": "now at",
        "reason": "Dovecot renames a message when it was seen; class mailboxes counts it",
        "when": lambda before, now: bool(_same_message(before, now)),
    },
] + [
    {"change": change, "subject": subject, "reason": reason}
    for subjects, changes, reason in (
        (DOVECOT, ("extra", "changed", "metadata"), "Dovecot's own index, which it writes when it opens a mailbox"),
        (DOVECOT_INDEX, ("missing",), "Dovecot's own index, which it makes anew"),
        (("*/Maildir", "*/Maildir/*", "*/.maildir/*"), ("extra",), "mail that came here, or that phase mail imported; class mailboxes counts it"),
        (("*/Maildir/subscriptions", "*/.maildir/subscriptions"), ("changed", "metadata"), "phase mail joins the subscriptions of all stores of a user"),
        (("*/maildirfolder",), ("extra",), "an empty mark of Dovecot's that a directory is a folder"),
        (("*/sieve", "*/sieve/tmp"), ("extra",), "directories that Dovecot's Sieve makes when it looks for a user's scripts"),
    )
    for subject in subjects
    for change in changes
]


def _same_message(before, now):
    """Whether two paths are one message of a Maildir: the same folder and unique name, in new or cur, with whatever flags."""
    first, second = [re.match(r"(.*)/(?:new|cur)/([^/]+?)(?::2,[A-Za-z]*)?\Z", path, re.DOTALL) for path in (before, now)]
    return bool(first and second and first.groups() == second.groups())


class ByName:
    """Ids for the comparison, by another way than the copy's: an old number's name, that name's account, its number now. One without a name as the map says."""

    def __init__(self, context):
        self._map = context.identity()
        self._names = {"passwd": _names(context.old, "passwd"), "group": _names(context.old, "group")}

    def uid(self, number):
        return self._of("passwd", number, self._map.user, lambda name: pwd.getpwnam(name).pw_uid, self._map.uid)

    def gid(self, number):
        return self._of("group", number, self._map.group, lambda name: grp.getgrnam(name).gr_gid, self._map.gid)

    def _of(self, table, number, carried, lookup, fallback):
        found = []
        for name in self._names[table].get(number, ()):
            new = carried(name)
            if new is not None:
                try:
                    found.append(lookup(new))
                except KeyError:
                    continue  # the map names an account that is not here: class accounts tells of it
        mapped = fallback(number)
        # Of two old names with one number any may be meant.
        return mapped if not found or mapped in found else found[0]


def _names(old, file):
    out = {}
    for line in old.text("/etc/" + file).splitlines():
        parts = line.split(":")
        if len(parts) > 2 and parts[0] and parts[2].isdigit():
            out.setdefault(int(parts[2]), []).append(parts[0])
    return out


def compare(context):
    """See _class_table.look(). Subjects are paths of the old system; numbers are filled in while the differences are read."""
    told = {"old": 0, "new": 0, "sums": {name: [0, 0] for name in SUMS}}
    told["differences"] = _differences(context, told)
    return told


def _differences(context, told):
    began = parse_time(context.about()["started"]).timestamp() if context.about().get("started") else 0
    ids = ByName(context)
    # not in reconcile.d: check mode leaves that as it is
    with tempfile.TemporaryDirectory(prefix=".reconcile-", dir=context.directory) as directory:
        for tree in _files_trees.trees(context):
            before, after = os.path.join(directory, "old.gz"), os.path.join(directory, "new.gz")
            _read(context, context.old.place(tree["from"]), before, told, 0)
            if not os.path.isdir(tree["to"]):
                yield "missing", tree["from"], "", None, None
                continue
            _read(context, tree["to"], after, told, 1)
            for difference in _compare.compare(before, after, ids):
                yield from _lines(tree, difference, began)


def _read(context, top, path, told, side):
    """A manifest of one side, from the device. Raises IntactError when a part of it could not be read: what was not read is not equal."""
    context.tell("files: %s is read" % top)
    made = _manifest.Manifest(os.fsencode(top), path, context.tell, device=True).run()
    told["new" if side else "old"] += sum(made["counts"].get(name, 0) for name in ("files", "links", "others", "directories"))
    for name in SUMS:
        told["sums"][name][side] += made["bytes"] if name == "bytes" else made["counts"].get(name, 0)
    broken = [finding for finding in made["findings"] if isinstance(finding, Finding) and finding.severity == "blocker"]
    if broken:
        raise IntactError("%s: %s" % (broken[0].title, broken[0].evidence))


def _lines(tree, difference, began):
    """A difference of two manifests as the reconciliation has it, one line for each attribute."""
    subject = "%s/%s" % (tree["from"], difference["path"]) if difference["path"] else tree["from"]
    kind = difference["class"]
    if kind == "moved":
        # Two files of one content are not always one that was moved: each side has to be right by itself.
        yield "missing", subject, "now at", subject, "%s/%s" % (tree["from"], difference["to"])
        found = _extra(tree, difference["to"], began)
        yield found if not _same_message(subject, found[1]) else ("extra", found[1], "now at", subject, found[1])
    elif kind == "extra":
        yield _extra(tree, difference["path"], began)
    elif not difference["attributes"]:
        yield kind, subject, "", None, None
    else:
        for name, pair in sorted(difference["attributes"].items()):
            name = "time of the directory" if name == "mtime" and _directory(tree, difference["path"]) else name
            yield kind, subject, name, pair[0], pair[1]


def _directory(tree, path):
    try:
        return stat.S_ISDIR(os.lstat(os.path.join(os.fsencode(tree["to"]), _record.raw_path(path))).st_mode)
    except OSError:
        return False


def _extra(tree, path, began):
    """An entry that only this host has, with since when: its inode's change, which nobody can set back."""
    try:
        since = os.lstat(os.path.join(os.fsencode(tree["to"]), _record.raw_path(path))).st_ctime
    except OSError:
        since = began
    return "extra", "%s/%s" % (tree["from"], path), "since", began, since
