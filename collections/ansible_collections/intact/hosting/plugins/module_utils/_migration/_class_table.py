# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which classes a migration is reconciled by, and how one is looked at: old against new, subject by subject."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAMES = ("accounts", "files", "tables", "mailboxes", "lists", "jobs", "aliases", "certificates", "zones")
SINGULAR = {
    "accounts": "this account",
    "files": "this file",
    "tables": "this table",
    "mailboxes": "this mailbox",
    "lists": "this mailing list",
    "jobs": "this job",
    "aliases": "this alias",
    "certificates": "this certificate",
    "zones": "this zone",
}


def module(name):
    """The file of a class, imported here so that one that is broken is one class that was not looked at."""
    # Ansible brings to a host what it finds in statements like these.
    try:
        if name == "accounts":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_accounts as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif name == "files":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_files as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif name == "tables":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_tables as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif name == "mailboxes":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_mailboxes as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif name == "lists":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_lists as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif name == "jobs":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_jobs as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif name == "aliases":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_aliases as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif name == "certificates":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_certificates as found  # noqa: PLC0415  (one that is broken costs only itself)
        else:
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_zones as found  # noqa: PLC0415  (one that is broken costs only itself)
    except ImportError as exc:
        raise IntactError("the class %s can't be loaded (%s): this collection is not complete" % (name, exc)) from exc
    if name != found.NAME:
        raise IntactError("the class %s calls itself %s: this collection is not complete" % (name, found.NAME))
    return found


def look(klass, context):
    """{old, new: numbers of subjects; sums {measure: [old, new]}; differences: iterable of (change, subject, attribute, old value, new value)}.

    A class that is too large for two dictionaries has compare(context) -> the same shape, where the numbers may be filled in while differences are read.
    SUMS of a class names attributes that are added up for the table (rows, messages, bytes).
    """
    if hasattr(klass, "compare"):
        return klass.compare(context)
    old, new = klass.old(context), klass.new(context)
    sums = {name: [_sum(old, name), _sum(new, name)] for name in getattr(klass, "SUMS", ())}
    return {"old": len(old), "new": len(new), "sums": sums, "differences": differences(old, new)}


def _sum(subjects, name):
    return sum(values[name] for values in subjects.values() if isinstance(values.get(name), (int, float)))


def differences(old, new):
    """(change, subject, attribute, old, new) of two {subject: {attribute: value}}: missing and extra are one each, changed is one for each attribute. Pure.

    An attribute that only one side knows is a difference: what was not looked at is not equal.
    """
    for subject in sorted(set(old) | set(new)):
        if subject not in new:
            yield "missing", subject, "", None, None
        elif subject not in old:
            yield "extra", subject, "", None, None
        else:
            before, after = old[subject], new[subject]
            for attribute in sorted(set(before) | set(after)):
                if before.get(attribute) != after.get(attribute) or (attribute in before) != (attribute in after):
                    yield "changed", subject, attribute, before.get(attribute), after.get(attribute)
