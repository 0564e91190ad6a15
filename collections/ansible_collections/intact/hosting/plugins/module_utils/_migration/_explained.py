# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Why a difference is none: rules of a class, rules of the operator, and what phases left out on purpose. Pure."""

from __future__ import annotations

import datetime
import fnmatch
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time

KEYS = ("class", "subject", "attribute", "change", "reason", "who", "expires")
# What an operator has to say for a rule of their own: it is a waiver in all but name.
WANTED = ("class", "subject", "reason", "who", "expires")


def check_rules(rules):
    """Raise IntactError naming the first rule of an operator's that is none, or that explains away a whole class."""
    for rule in rules:
        missing = [key for key in WANTED if not str(rule.get(key) or "").strip()]
        unknown = sorted(set(rule) - set(KEYS))
        if missing or unknown:
            said = "lacks %s" % ", ".join(missing) if missing else "has %s, which no rule has" % ", ".join(unknown)
            raise IntactError("the rule %s %s: a rule names %s, and may name attribute and change" % (rule.get("subject") or rule, said, ", ".join(WANTED)))
        if rule["subject"].strip("*?") == "" and not (rule.get("attribute") or "").strip("*?"):
            raise IntactError("the rule for %s with subject %r explains the whole class away: name what it is about" % (rule["class"], rule["subject"]))
        parse_time(rule["expires"])


def _hit(pattern, text):
    return not pattern or pattern == text or fnmatch.fnmatchcase(text, pattern)


class Explained:
    """What explains differences of one class.

    rules: the class's own, [{subject, attribute, change, reason, when}]: patterns (absent means any), when(old, new) -> bool on the attribute's values.
    lines: of phases, [{class, subject, reason}] and optionally attribute, change, pattern (the subject is a shell pattern). The subject is meant as it is.
    operator: rules of the operator's, with who and expires.
    """

    def __init__(self, klass, rules=(), lines=(), operator=(), now=None):
        self.rules = list(rules)
        self._exact, self._patterns = {}, []
        for line in lines:
            if line.get("class") == klass:
                if line.get("pattern"):
                    self._patterns.append((re.compile(fnmatch.translate(str(line.get("subject")))), line))
                else:
                    self._exact.setdefault(str(line.get("subject")), []).append(line)
        now = now or datetime.datetime.now(datetime.timezone.utc)
        mine = [rule for rule in operator if rule["class"] == klass]
        self._operator = [rule for rule in mine if parse_time(rule["expires"]) >= now]
        self._expired = [rule for rule in mine if parse_time(rule["expires"]) < now]

    def reason(self, change, subject, attribute="", old=None, new=None):
        """Why this difference is as it should be, or ""."""
        for line in self._exact.get(subject, []):
            if self._fits(line, change, attribute):
                return line["reason"]
        for rule in self.rules:
            if _hit(rule.get("subject"), subject) and self._fits(rule, change, attribute) and ("when" not in rule or rule["when"](old, new)):
                return rule["reason"]
        for pattern, line in self._patterns:
            if pattern.match(subject) and self._fits(line, change, attribute):
                return line["reason"]
        for rule in self._operator:
            if _hit(rule["subject"], subject) and self._fits(rule, change, attribute):
                return "%s (%s, until %s)" % (rule["reason"], rule["who"], rule["expires"])
        return ""

    def expired(self, change, subject, attribute=""):
        """The operator's rule that would explain it if it had not run out, or None."""
        return next((r for r in self._expired if _hit(r["subject"], subject) and self._fits(r, change, attribute)), None)

    @staticmethod
    def _fits(line, change, attribute):
        """A line that names a change or an attribute is about that one only."""
        return _hit(line.get("change"), change) and (not line.get("attribute") or _hit(line["attribute"], attribute))
