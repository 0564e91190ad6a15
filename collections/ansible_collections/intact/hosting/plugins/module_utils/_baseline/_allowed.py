# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Allowed changes: rules as data, and which finding they allow. Pure."""

from __future__ import annotations

import fnmatch
import functools
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

RULE_KEYS = {"section", "subject", "id", "change", "attribute", "before", "after", "details", "path", "except", "rename", "reason"}


class Together(Finding):
    """One finding for many things. A rule that names a subject means one of them, so rules are held against each.

    parts: function that gives them. one: function from a part to the finding that it would be alone. again: function from some parts to findings.
    own: whether a rule may also mean the whole; then only rules that name a path or subject are held against the parts, and all parts must be allowed.
    """

    parts, one, again, own = None, None, None, False

    @classmethod
    def of(cls, finding, parts, one, again, own=False):
        """A finding made into one that knows its parts."""
        made = cls.from_dict(vars(finding))
        made.parts, made.one, made.again, made.own = parts, one, again, own
        return made


def check_rules(rules):
    """Raise IntactError for a rule that nobody could read: unknown key, no section, no reason."""
    for rule in rules:
        unknown = set(rule) - RULE_KEYS
        if unknown:
            raise IntactError("allowed change %s has unknown keys: %s" % (rule, ", ".join(sorted(unknown))))
        for key in ("section", "reason"):
            if not str(rule.get(key) or "").strip():
                raise IntactError("allowed change %s lacks %s" % (rule, key))
        # as with waivers: whoever wants no word of a whole section switches it off, and is told so
        if all(str(rule.get(key) or "*").strip("*.") == "" for key in set(rule) - {"section", "reason", "except"}):
            raise IntactError("allowed change %s allows everything in its section: name what may change" % rule)
        if "rename" in rule and set(rule["rename"]) != {"from", "to"}:
            raise IntactError("allowed change %s: rename needs from and to" % rule)
        if not isinstance(rule.get("except", []), list):
            raise IntactError("allowed change %s: except is a list of paths" % rule)


def still(finding):
    """Whether a finding tells of what was as bad before: nothing that happened in between explains it, and it explains nothing that did."""
    return finding.details.get("change") == "still"


def text(value):
    return "" if value is None else value if isinstance(value, str) else str(value)


@functools.lru_cache(maxsize=None)  # fnmatch's own cache is too small for the rules of a release
def _pattern(text):
    return re.compile(fnmatch.translate(text)).match


def allows(rule, finding):
    """Whether a rule allows this finding: every key the rule names must match; strings are shell patterns.

    path: as a shell reads it, except those of except. A rule allows differences. What nobody could look at is none: only a waiver, which names it, takes it.
    What was no better before is none either: only a rule that says "change: still" means it.
    """
    if still(finding) and rule.get("change") != "still":
        return False
    if "rename" in rule or rule["section"] != finding.section or finding.details.get("change") in ("unread", "unlooked", "off", "uncompared", "unknown"):
        return False
    if "path" in rule and not _is_path(rule, finding):
        return False
    wanted = [(rule.get("id"), finding.id), (rule.get("subject"), finding.subject)]
    wanted += [(rule.get(key), finding.details.get(key)) for key in ("change", "attribute", "before", "after")]
    wanted += [(value, finding.details.get(key)) for key, value in (rule.get("details") or {}).items()]
    return all(pattern is None or _pattern(text(pattern))(text(value)) for pattern, value in wanted)


def _is_path(rule, finding):
    """Whether a shell finds the finding's subject by the rule's path, and it is none of except: * and ? stop at a slash and stand for no first dot."""
    path = os.fsdecode(unescape(finding.subject))
    parts, wanted = path.split("/"), rule["path"].split("/")
    if len(parts) != len(wanted) or path in rule.get("except", []):
        return False
    return all(_pattern(w)(p) and not (p.startswith(".") and not w.startswith(".")) for p, w in zip(parts, wanted))


def _reaches(rule, finding):
    """Whether a rule's subject or path can be one below the directory that a finding for many names."""
    if rule["section"] != finding.section:
        return False
    for key in ("subject", "path"):
        start = re.split(r"[*?\[]", rule.get(key) or "", maxsplit=1)[0]
        if not (start.startswith(finding.subject.rstrip("/") + "/") or finding.subject.startswith(start)):
            return False
    return True


def judged(finding, rules):
    """[(the first rule that allows it, or None; finding)]: one pair, or more where rules allow some of what a finding for many tells of."""
    whole = not isinstance(finding, Together)
    if whole or finding.own:
        rule = next((r for r in rules if allows(r, finding)), None)
        if whole or rule:
            return [(rule, finding)]
    near = [r for r in rules if _reaches(r, finding) and (not finding.own or r.get("subject") or r.get("path"))]
    left, taken, mixed = [], {}, []
    for part in finding.parts() if near else []:
        single = finding.one(part)
        outcome = judged(single, near)
        if len(outcome) > 1:
            mixed += outcome
        elif outcome[0][0] is None:
            left.append(part)
        else:
            taken.setdefault(near.index(outcome[0][0]), []).append(part)
        if finding.own and left:
            break
    if not (taken or mixed) or (finding.own and left):
        return [(None, finding)]
    if len(taken) == 1 and not left and not mixed:
        return [(near[next(iter(taken))], finding)]
    out = mixed + [(near[index], again) for index, some in sorted(taken.items()) for again in finding.again(some)]
    return out + [(None, again) for again in finding.again(left)]


def rename(items, section, rules, later=()):
    """Items of the earlier baseline under the names that the rules give them, and what was renamed. later: names in the later baseline.

    from may hold one *, which is put in place of the * in to. Returns (items, [{from, to, reason}]).
    A rename that would hide another item (target name already taken before) is not done, nor one of what is still there while the target is not.
    """
    done, out = [], {}
    for subject, item in items.items():
        name = subject
        for rule in rules:
            if rule["section"] != section or "rename" not in rule:
                continue
            source, target = rule["rename"]["from"], rule["rename"]["to"]
            if not fnmatch.fnmatchcase(subject, source):
                continue
            if "*" in source:
                head, tail = source.split("*", 1)
                middle = subject[len(head) : len(subject) - len(tail)] if tail else subject[len(head) :]
                target = target.replace("*", middle, 1)
            if target not in items and target not in out and (target in later or subject not in later):
                name = target
                done.append({"from": subject, "to": target, "reason": rule["reason"]})
            break
        out[name] = item
    return out, done
