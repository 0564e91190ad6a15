# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Inventories: what a panel knows, object by object, and how two of them differ."""

from __future__ import annotations

import hashlib
import json
import re

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SCHEMA = 1
KINDS = (
    "customer domain domain_alias subdomain dns_zone mailbox forward mail_alias list database database_user certificate cron_job limit php_handler "
    "subscription ftp_user setting"
).split()
ROUTES = ("sql", "files", "command")
# Attributes that measure what an object says; one of these at zero where there was something is an empty object, and so is an emptied list.
MEASURES = ("rows", "tables", "bytes", "files", "messages", "members", "records")
_DIGEST = re.compile(r"sha256:[0-9a-f]{16}\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\udc80-\udcff]")


def secret(value):
    """A digest to compare a secret by; never the secret itself. Empty text for no secret at all."""
    raw = value if isinstance(value, bytes) else str("" if value is None else value).encode("utf-8", "surrogateescape")
    return "sha256:" + hashlib.sha256(raw).hexdigest()[:16] if raw else ""


def make(panel, version, host, route, objects, unlooked=()):
    """An inventory document. objects: {kind: {name: {attribute: text, number, or texts in any order}}}; route: "sql", "files" or {"kind", ...}.

    Names come escaped (_files.escape); what is not printable all the same is escaped here. An attribute that is None is left out.
    """
    route = {"kind": route} if isinstance(route, str) else dict(route)
    if route.get("kind") not in ROUTES:
        raise ValueError("an inventory's route is none of %s: %r" % (", ".join(ROUTES), route))
    wrong = sorted(set(objects) - set(KINDS))
    if wrong:
        raise ValueError("no such kind of object: %s" % ", ".join(wrong))
    held = {
        kind: {_text(name): {key: _value(value) for key, value in attributes.items() if value is not None} for name, attributes in entries.items()}
        for kind, entries in objects.items()
        if entries
    }
    return {
        "schema": SCHEMA,
        "panel": panel,
        "version": version,
        "host": host,
        "taken": _flight.now(),
        "route": route,
        "objects": held,
        "unlooked": [{"what": entry["what"], "why": entry["why"]} for entry in unlooked],
    }


def _text(value):
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return escape(text) if _UNPRINTABLE.search(text) else text


def _value(value):
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return sorted(_text(entry) for entry in value)
    return _text(value)


def check(document):
    """The document itself, or IntactError when it is no inventory that this version can read."""
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not isinstance(document.get("objects"), dict):
        raise IntactError("this is no inventory of a panel that this version reads (schema %s)" % SCHEMA)
    return document


def counts(document):
    """{kind: number of objects}."""
    return {kind: len(entries) for kind, entries in sorted(document["objects"].items()) if entries}


def digest(document):
    """sha256 of what was seen; when and where it was seen does not matter."""
    held = json.dumps(document["objects"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(held.encode("ascii")).hexdigest()


def shown(document):
    """The document as results and reports may show it: digests of secrets are left out, as a weak password could be guessed from one."""
    objects = {
        kind: {name: {key: "set" if _secret(value) else value for key, value in attributes.items()} for name, attributes in entries.items()}
        for kind, entries in document["objects"].items()
    }
    return dict(document, objects=objects)


def _secret(value):
    return isinstance(value, str) and bool(_DIGEST.match(value))


def finding(ident, panel, kind, name, title, evidence, remedy, severity="blocker", **details):
    """A finding whose subject is one object: "plesk mailbox ann@example.com"."""
    subject = " ".join(part for part in (panel, kind, name) if part)
    held = dict(details, panel=panel, kind=kind, name=name)
    return Finding(id=ident, severity=severity, subject=subject, title=title, evidence=evidence, remedy=remedy, details=held)


def compare(wanted, seen, kinds=None, attributes=None):
    """Findings of what `seen` lacks, has more, has otherwise or has without content: two inventory documents.

    kinds: only these; without it all kinds that either document has. attributes: {kind: [names]} that must be the same; a kind that is not in it is compared by
    the attributes that both objects have. A missing, changed or emptied object is a blocker; one more than wanted is a warning.
    """
    found = []
    for kind in [k for k in KINDS if (kinds is None or k in kinds)]:
        before, after = wanted["objects"].get(kind, {}), seen["objects"].get(kind, {})
        for name in sorted(set(before) | set(after)):
            if name not in after:
                found.append(_missing(wanted, seen, kind, name))
            elif name not in before:
                found.append(_extra(wanted, seen, kind, name))
            else:
                names = (attributes or {}).get(kind)
                found += _changed(wanted, seen, kind, name, names)
    return found


def _where(document):
    route = document.get("route") or {}
    return "%s (%s, %s)" % (route.get("of") or document.get("panel") or "?", route.get("kind", "?"), document.get("taken", "?"))


def _missing(wanted, seen, kind, name):
    evidence = "in %s; not in %s" % (_where(wanted), _where(seen))
    remedy = "find out why it was left out, then export again; until then this export can't bring it back"
    return finding("panel.object.missing", wanted["panel"], kind, name, "it is not there", evidence, remedy, change="missing")


def _extra(wanted, seen, kind, name):
    evidence = "in %s; not in %s" % (_where(seen), _where(wanted))
    remedy = "check whether it was made in between; another name for a missing object means that the export altered it"
    return finding("panel.object.extra", wanted["panel"], kind, name, "it is there and was not known", evidence, remedy, severity="warning", change="extra")


def _changed(wanted, seen, kind, name, names):
    before, after = wanted["objects"][kind][name], seen["objects"][kind][name]
    names = sorted(set(before) & set(after)) if names is None else [n for n in names if n in before or n in after]
    different = [n for n in names if not _same(before.get(n), after.get(n))]
    if not different:
        return []
    emptied = [n for n in different if _emptied(n, before.get(n), after.get(n))]
    said = "; ".join("%s: %s" % (n, _told(before.get(n), after.get(n))) for n in different)
    if emptied:
        title, ident = "it is there and says nothing", "panel.object.empty"
    else:
        title, ident = "it is not what it was", "panel.object.changed"
    remedy = "compare this object by hand; when the export is wrong, export again, and don't restore it from this one"
    return [finding(ident, wanted["panel"], kind, name, title, said, remedy, change="empty" if emptied else "changed", attributes=different)]


def _plain(value):
    """The same for what SQL tells as text and a file as a number."""
    if isinstance(value, bool):
        return str(int(value))
    return sorted(str(entry) for entry in value) if isinstance(value, list) else str(value)


def _same(before, after):
    if before is None or after is None:
        return before is after
    return _plain(before) == _plain(after)


def _emptied(name, before, after):
    if isinstance(before, list):
        return bool(before) and not after
    return name in MEASURES and str(before) not in ("0", "") and str(after) in ("0", "", "None")


def _told(before, after):
    """The two values for a person, without what may tell a secret, and not longer than a line."""
    if _secret(before) or _secret(after):
        return "another secret" if before and after else "a secret that is only on one side"
    if isinstance(before, list) and isinstance(after, list):
        gone, more = sorted(set(before) - set(after)), sorted(set(after) - set(before))
        parts = ["lacks " + ", ".join(gone[:5]) + _rest(gone)] if gone else []
        parts += ["has " + ", ".join(more[:5]) + _rest(more)] if more else []
        return " and ".join(parts)
    return "%s -> %s" % tuple("nothing" if value is None else repr(str(value)[:120]) for value in (before, after))


def _rest(names):
    return " and %d more" % (len(names) - 5) if len(names) > 5 else ""
