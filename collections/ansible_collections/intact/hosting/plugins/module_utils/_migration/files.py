# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Phase files: homes, docroots, mail stores and /srv come with mapped owners, and are read back from the device against what was read from the disk.

files.d keeps for each tree its manifest (NAME.gz), the copy's journal (NAME.state), and what came of it (NAME.json) once it is through.
"""

from __future__ import annotations

import glob
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _context, _files_trees, _plan_vhosts
from ansible_collections.intact.hosting.plugins.module_utils._migration.plan import name_for
from ansible_collections.intact.hosting.plugins.module_utils._trees import _copy, _verify

ADDED = ("files", "links", "hardlinks", "fifos", "directories", "copied", "replaced", "same", "aside", "kept", "removed")


def run(context, check=False):
    """Copy and verify every tree. Counts are of all trees, `differences` those of the verification. The document has `trees`."""
    hosts = _plan_vhosts.vhosts(context.old)
    trees = _files_trees.trees(context, hosts)
    document = dict(_context.fresh("files"), trees=trees)
    counts = dict.fromkeys(ADDED + ("trees", "bytes", "verified", "differences"), 0)
    go_on = context.document("files").get("action") == "continue"
    if not check and not go_on:
        _anew(context)
    for tree in trees:
        made = _one(context, tree, check, go_on)
        counts["trees"] += 1
        for name, number in made["counts"].items():
            counts[name] += number
        document["findings"] += made["findings"]
        document["explained"] += left_out(tree)
    document["findings"] += not_brought(context, trees, hosts) + strangers(context)
    return dict(document, counts=counts)


def _anew(context):
    """Forget which trees were through: a run that is cut must not go on with the word of the one before it."""
    directory = context.phase_directory("files")
    for name in os.listdir(directory):
        if name.endswith(".json"):
            os.unlink(os.path.join(directory, name))


def _one(context, tree, check, go_on):
    """{counts, findings (dicts)} of one tree; what an earlier run of the same phase brought and verified is not done again."""
    directory = context.path("files.d") if check else context.phase_directory("files")
    base = os.path.join(directory, name_for(tree["from"].strip("/").replace("/", "_")))
    if go_on and not check:
        try:
            known = read_document(base + ".json")
            # one of an earlier map or of a run before this one was asked for is none
            if known["tree"] == tree and known["inputs"] == context.document("files")["inputs"]:
                return known
        except (OSError, ValueError, KeyError):
            pass  # it was not through
    if not check:
        _room(tree["to"])
        if os.path.exists(base + ".json"):
            os.unlink(base + ".json")
    source, rules, ids = os.fsencode(context.old.place(tree["from"])), tree.get("exclude", ()), context.identity()
    context.tell("%s comes to %s" % (tree["from"], tree["to"]))
    told = _told(context, tree, check)
    copier = _copy.Copier(
        source,
        os.fsencode(tree["to"]),
        ids=ids,
        manifest=base + ".gz",
        state=base + ".state",
        tell=told,
        rules=rules,
        existing=context.settings.get("existing") or "aside",
        # who asks for it again doubts what is there, and not only what looks changed
        compare="content" if context.document("files").get("action") == "again" else "quick",
        check=check,
    )
    copied = copier.run()
    counts = {name: copied["counts"].get(name, 0) for name in ADDED}
    counts["bytes"] = copied["bytes"]
    findings = list(copied["findings"])
    if not check:
        context.tell("%s is read back from the device" % tree["to"])
        proved = _verify.verify(os.fsencode(tree["to"]), base + ".gz", ids, told, rules, scratch=directory)
        counts["verified"] = proved["counts"]["match"]
        counts["differences"] = sum(number for kind, number in proved["counts"].items() if kind not in ("match", "extra"))
        findings += proved["findings"]
        if context.settings.get("rsync"):
            context.tell("rsync is asked about %s" % tree["to"])
            findings += _verify.second_opinion(source, os.fsencode(tree["to"]), ids, rules)["findings"]
    out = {"tree": tree, "counts": counts, "findings": [finding.as_dict() for finding in findings]}
    if not check and not counts["differences"]:
        write_document(base + ".json", dict(out, inputs=context.document("files")["inputs"]))
    return out


def _told(context, tree, check):
    """Progress of one tree; in check mode none is kept."""
    return None if check else lambda line: context.tell("%s: %s" % (tree["from"], line))


def _room(path):
    """Make the directories above a target. Raises IntactError where somebody else than root could exchange one of them."""
    parent, here = os.path.dirname(path), "/"
    for part in [part for part in parent.split("/") if part]:
        here = os.path.join(here, part)
        try:
            os.mkdir(here, 0o755)
        except FileExistsError:
            entry = os.lstat(here)
            if entry.st_uid != 0 or not (stat.S_ISDIR(entry.st_mode) or stat.S_ISLNK(entry.st_mode)):
                raise IntactError(
                    "%s is above %s and is not root's directory: its owner could lead the copy elsewhere; chown it to root or name another place in trees"
                    % (escape(here), escape(path))
                ) from None


def left_out(tree):
    """Lines of explained for what the tree's patterns leave out (see _trees/_rules.py)."""
    top, out = glob.escape(tree["from"].rstrip("/")), []
    for pattern in tree.get("exclude", ()):
        pattern = pattern.rstrip("/")
        starts = [top + pattern] if pattern.startswith("/") else [top + "/" + pattern, top + "/*/" + pattern]
        for start in starts:
            reason = "left out by the pattern %s of site_migration_trees" % pattern
            out += [_context.explained("files", escape(start + end), reason, pattern=True, change="missing") for end in ("", "/*")]
    return out


def strangers(context):
    """A warning for numbers that own something and that no account of the old system had."""
    unknown = context.identity().unknown
    out = []
    for kind, numbers in sorted(unknown.items()):
        if numbers:
            shown = ", ".join(str(number) for number in sorted(numbers)[:20])
            title = "files belong to %d numbers (%s) that no account of the old system had; here they belong to numbers that nobody has" % (len(numbers), kind)
            out.append(Finding("files.orphans", "warning", kind, title, shown, "look whose they were, and give them to somebody with chown"))
    return out


def not_brought(context, trees, hosts):
    """A warning for each home and each root of a site of the old system that lies in no tree."""
    known = [tree["from"].rstrip("/") for tree in trees]
    wanted = {root: "a site is served from it" for host in hosts for root in host["roots"]}
    wanted.update(dict.fromkeys(_files_trees.homes(context), "it is the home of an account"))
    out = []
    for path, why in sorted(wanted.items()):
        path = os.path.normpath(path)
        try:
            there = bool(context.old.listdir(path)) and context.old.lstat(path) is not None
        except OSError:
            there = True  # unreadable is not empty
        if there and path != "/" and not any(path == top or path.startswith(top + "/") for top in known):
            remedy = "name it in site_migration_trees, with a place that is not the new system's own"
            out.append(Finding("files.not_brought", "warning", escape(path), "this directory of the old system was not brought: %s" % why, remedy=remedy))
    return out
