# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Can every source be read, is it reachable, and does it have the target release (PF08, PF09, PF10, PF12)."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources
from ansible_collections.intact.hosting.plugins.module_utils._apt_sources import without_password
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _apt

ACTIONS = ("rename", "disable", "keep")
_MALFORMED = re.compile(r"E: .*(?:Malformed (?:entry|stanza|line)|list of sources could not be read|Type '.*' is not known|is not known on line).*")


def parsed(context):
    """PF08: every source is read by us and by apt alike."""
    sources, wrong, ignored = context.sources()
    found = [
        Finding(
            id="sources.unparsable",
            severity="blocker",
            subject="%s:%d" % (bad.file, bad.line),
            title="this source cannot be read: %s" % bad.why,
            evidence=without_password(bad.text),
            remedy="correct or remove line %d of %s, then run check-host again" % (bad.line, bad.file),
        )
        for bad in wrong
    ]
    for path in ignored:
        found.append(
            Finding(
                id="sources.ignored",
                severity="info",
                subject=path,
                title="apt passes over this file",
                evidence="its name does not end in .list or .sources, or has odd characters",
            )
        )
    path, fetched = _apt.refreshed(context)
    refused = _MALFORMED.search(fetched.error)
    if refused and not wrong:
        found.append(
            Finding(
                id="sources.unparsable",
                severity="blocker",
                subject="apt",
                title="apt cannot read its sources",
                evidence=without_password(refused.group(0)),
                remedy="correct the file that apt names, then run check-host again",
            )
        )
    if fetched.rc != 0:
        return found  # indextargets lists what could be fetched: with a failing source it would accuse good ones
    asked = context.host.run(["apt-get", "-q", "-c", path, "indextargets", "--format", "$(SOURCESENTRY)"])
    seen = set(asked.text.split())
    for source in sources:
        if source.enabled and "deb" in source.types and source.entry not in seen:
            found.append(
                Finding(
                    id="sources.unread",
                    severity="blocker",
                    subject=source.subject,
                    title="apt does not use this source although it looks right",
                    evidence=source.words,
                    remedy="apt-get indextargets shows what apt uses; correct or remove the entry",
                )
            )
    for entry in sorted(seen - {source.entry for source in sources}):
        found.append(
            Finding(
                id="sources.unknown",
                severity="blocker",
                subject=entry,
                title="apt uses a source that this check did not find",
                remedy="apt-config dump Dir::Etc shows where apt looks; move the source below /etc/apt/sources.list.d",
            )
        )
    return found


def reachable(context):
    """PF12: every source answers with a signed and current index, by this host's clock."""
    _path, result = _apt.refreshed(context)
    if result.rc == 0 or _MALFORMED.search(result.error):
        return []  # what cannot be read is told by PF08
    said = _apt.judge(result.error)
    if not said:
        return [
            Finding(
                id="sources.unreachable",
                severity="blocker",
                subject="apt-get update",
                title="the sources could not be read",
                evidence=without_password(result.error)[-500:],
                remedy="repair what apt names, then run check-host again",
            )
        ]
    remedies = {
        "clock.skew": "set the clock (timedatectl; chronyc makestep), then run check-host again",
        "sources.unreachable": "look at the network, the proxy (apt-config dump Acquire) and the mirror, then run check-host again",
    }
    return [
        Finding(
            id=ident,
            severity="blocker",
            subject=without_password(url) or "apt-get update",
            title=title,
            evidence=without_password(message)[:400],
            remedy=remedies.get(ident, "correct, replace or disable the source, then run check-host again"),
        )
        for url, (ident, title, message) in sorted(said.items())
    ]


def suites(context):
    """PF10: every suite of the distribution is the source release's own name; aliases and mixtures would pull in another one."""
    codename = (context.release_path.get("source") or {}).get("codename", "")
    others = set(context.release_path.get("codenames") or ("buster", "bullseye", "bookworm", "trixie", "forky", "duke")) - {codename}
    found = []
    for source in context.sources()[0]:
        if not source.enabled:
            continue
        for suite in source.suites:
            base = _apt_sources.suite_base(suite)
            if suite in _apt_sources.ALIASES or base in ("stable", "oldstable", "testing", "unstable", "sid") and own(context, source):
                if not own(context, source):
                    continue  # a vendor's "stable" is its own name, not Debian's alias
                found.append(
                    Finding(
                        id="sources.alias",
                        severity="blocker",
                        subject=source.subject,
                        title="suite %s is an alias that moves to another release by itself" % suite,
                        evidence=source.words,
                        remedy="write %s instead of %s in %s" % (suite.replace(base, codename, 1), suite, source.file),
                    )
                )
            elif base in others and (own(context, source) or base == (context.release_path.get("target") or {}).get("codename")):
                found.append(
                    Finding(
                        id="sources.mixed",
                        severity="blocker",
                        subject=source.subject,
                        title="suite %s belongs to another release than %s" % (suite, codename),
                        evidence=source.words,
                        remedy="remove the entry, or write %s" % codename,
                    )
                )
            elif suite.endswith("-backports"):
                found.append(
                    Finding(
                        id="sources.backports",
                        severity="warning",
                        subject=source.subject,
                        title="backports are enabled",
                        evidence=source.words,
                        remedy="disable it before the upgrade; what came from it is listed under packages.backports",
                    )
                )
    names = [name for name, (version, status) in sorted(context.packages().items()) if "~bpo" in version and status[1] == "i"]
    if names:
        found.append(
            Finding(
                id="packages.backports",
                severity="warning",
                subject=", ".join(names[:10]),
                title="%d packages came from backports" % len(names),
                evidence=", ".join(names),
                remedy="see that the target release has them in a newer version, or remove them",
            )
        )
    return found


def origins(context):
    """{entry as apt calls it: (Origin, Label)} of the host's own sources, by their freshly fetched Release files."""

    def read():
        path, _result = _apt.refreshed(context)
        asked = context.host.run(["apt-get", "-q", "-c", path, "indextargets", "--format", "$(SOURCESENTRY)|$(ORIGIN)|$(LABEL)"], check=False)
        out = {}
        for line in asked.text.splitlines():
            entry, origin, label = (line + "||").split("|")[:3]
            out[entry] = ("" if origin.startswith("$(") else origin, "" if label.startswith("$(") else label)
        return out

    return context.once("origins", read)


def own(context, source):
    """Whether a source is the distribution's: by its Release file's Origin, or by its address while nobody could fetch that."""
    names = context.release_path.get("origins") or [str((context.release_path.get("source") or {}).get("id", "debian")).capitalize()]
    origin = origins(context).get(source.entry, ("", ""))[0]
    if origin:
        return any(origin.split()[0] == name for name in names)
    return any(re.search(r"/debian(-security|-archive)?(/|$)", uri) for uri in source.uris)


def check_map(entries):
    """Raise IntactError for an entry of preflight_source_map that cannot be followed."""
    for entry in entries or []:
        missing = [key for key in ("match", "action", "reason") if not str(entry.get(key) or "").strip()]
        if missing:
            raise IntactError("preflight_source_map: entry %s lacks %s" % (entry.get("match") or entry, ", ".join(missing)))
        if entry["action"] not in ACTIONS:
            raise IntactError("preflight_source_map: %s: action %r is none of %s" % (entry["match"], entry["action"], ", ".join(ACTIONS)))
        if entry["action"] == "rename" and not (entry.get("uri") or entry.get("suite")):
            raise IntactError("preflight_source_map: %s: rename needs uri or suite" % entry["match"])


def mapped(source, uri, suite, old, new, entries):
    """What becomes of one URI and suite at the target: (action, uri, suite, reason). Pure.

    An entry's match is a shell pattern on "URI SUITE", or on the URI alone when it holds no blank.
    """
    for entry in entries or []:
        if fnmatch.fnmatchcase("%s %s" % (uri, suite) if " " in entry["match"] else uri, entry["match"]):
            if entry["action"] == "rename":
                return "rename", entry.get("uri") or uri, entry.get("suite") or suite, entry["reason"]
            return entry["action"], uri, suite, entry["reason"]
    if _apt_sources.suite_base(suite) == old:
        return "rename", uri, suite.replace(old, new, 1), "the suite carries the release's name"
    return "keep", uri, suite, "the suite does not carry the release's name"


def third_party(context):
    """PF09: every source that is not the distribution's has the target release, signed by a key that validates then."""
    check_map(context.options.get("source_map"))
    old, new = ((context.release_path.get(side) or {}).get("codename", "") for side in ("source", "target"))
    found = []
    for source in context.sources()[0]:
        if own(context, source) or "deb" not in source.types:
            continue
        if not source.enabled:
            found.append(
                Finding(
                    id="sources.third.disabled",
                    severity="info",
                    subject=source.subject,
                    title="a disabled source of a third party stays disabled",
                    evidence=source.words,
                )
            )
            continue
        for uri in source.uris:
            for suite in source.suites:
                found += _third(context, source, uri, suite, mapped(source, uri, suite, old, new, context.options.get("source_map")))
    return found


def _third(context, source, uri, suite, fate):
    action, new_uri, new_suite, reason = fate
    name = "%s %s" % (without_password(uri), suite)
    if action == "disable":
        return [
            Finding(
                id="sources.third.dropped",
                severity="info",
                subject=name,
                title="the upgrade disables this source",
                evidence="%s; %s" % (source.subject, reason),
            )
        ]
    wanted = _apt_sources.Source(source.file, source.line, ["deb"], [new_uri], [new_suite], source.components, dict(source.options))
    key = "third-" + hashlib.sha256(_apt_sources.render(wanted).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    directory = os.path.join(context.cache, key)
    listing = directory + "/only.sources"
    context.host.make_private(directory)
    context.host.write_private(listing, _apt_sources.render(wanted).encode("utf-8", "surrogateescape"))
    result = _apt.update(context, _apt.private(context, key, sourcelist=listing), timeout=120)
    context.host.remove_tree(directory)
    if result.rc == 0:
        return (
            []
            if action == "rename"
            else [
                Finding(
                    id="sources.third.kept",
                    severity="info",
                    subject=name,
                    title="this source stays as it is, its suite names no release",
                    evidence="%s; %s" % (source.subject, reason),
                    remedy="if the vendor has another suite for %s, name it in preflight_source_map" % context.target(),
                )
            ]
        )
    said = _apt.judge(result.error)
    ident, title, message = next(iter(said.values()), ("sources.unreachable", "the source could not be read", result.error[-300:]))
    title = "the source has no suite %s for %s" % (new_suite, context.target()) if ident == "sources.missing" else "at the target, " + title
    return [
        Finding(
            id="sources.target." + ident.split(".", 1)[1],
            severity="blocker",
            subject=name,
            title=title,
            evidence="%s: %s" % (source.subject, without_password(message)[:300]),
            remedy="ask the vendor for %s, then add to preflight_source_map: {match: '%s', action: rename | disable, suite: ..., reason: ...}"
            % (context.target(), without_password(uri)),
        )
    ]
