# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""apt with private lists and caches: it may look at the live package database, and cannot change anything of the host's."""

from __future__ import annotations

import os
import re

# Hooks of the host's apt.conf.d would act on live files; -c is read last, so these lines win.
HOOKS = (
    "APT::Update::Pre-Invoke",
    "APT::Update::Post-Invoke",
    "APT::Update::Post-Invoke-Success",
    "DPkg::Pre-Invoke",
    "DPkg::Post-Invoke",
    "DPkg::Pre-Install-Pkgs",
    "AptCli::Hooks",
    "DPkg::Tools::Options",
)


def configuration(directory, sourcelist="", sourceparts="", status="", preferences=True):
    """Text of an apt.conf with all that apt writes below directory. Empty arguments keep the host's own."""
    lines = ["#clear %s;" % hook for hook in HOOKS]
    settings = {
        "Dir::State::lists": directory + "/lists/",
        "Dir::Cache": directory + "/cache/",
        "Dir::Cache::archives": directory + "/archives/",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Debug::NoLocking": "true",
        # the private directory is root's own, so the _apt user could not write there
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Retries": "2",
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": "20",
        "Acquire::https::Timeout": "20",
    }
    if sourcelist:
        settings["Dir::Etc::sourcelist"] = sourcelist
        settings["Dir::Etc::sourceparts"] = sourceparts or "/dev/null"
    if status:
        settings["Dir::State::status"] = status
        settings["Dir::State::extended_states"] = directory + "/extended_states"
    if not preferences:
        settings["Dir::Etc::preferences"] = "/dev/null"
        settings["Dir::Etc::preferencesparts"] = "/dev/null"
    return "\n".join(lines + ['%s "%s";' % item for item in settings.items()]) + "\n"


def private(context, name, **settings):
    """Path of an apt.conf (give it to apt with -c) with its own directory in the cache, made when needed."""

    def make():
        directory = os.path.join(context.cache, name)
        for part in ("lists/partial", "archives/partial", "cache"):
            context.host.make_private(os.path.join(directory, part))
        path = os.path.join(directory, "apt.conf")
        context.host.write_private(path, configuration(directory, **settings).encode())
        return path

    return context.once("apt " + name, make)


def refreshed(context):
    """(apt.conf, Result of apt-get update) of the host's own sources, with fresh private lists; done once."""
    path = private(context, "source")
    return path, context.once("apt update", lambda: update(context, path))


def update(context, path, timeout=300):
    """Run apt-get update in a private state; the Result carries what apt said."""
    return context.host.run(["apt-get", "-q", "-c", path, "update"], timeout=timeout, check=False)


# What apt says about one source, and which finding that is.
_SAID = (
    (re.compile(r"is not valid yet"), "clock.skew", "the source's index is from the future: this host's clock is wrong"),
    (re.compile(r"(?:Release file .* is expired|is expired \(invalid since)"), "sources.expired", "the source's index is out of date"),
    (re.compile(r"EXPKEYSIG|key.*expired|expired key", re.I), "sources.key.expired", "the source's signing key has expired"),
    (
        re.compile(
            r"NO_PUBKEY|is not signed|signatures couldn't be verified|BADSIG|Sub-process \S* ?returned an error code|At least one invalid signature", re.I
        ),
        "sources.key",
        "the source's signature cannot be verified",
    ),
    (re.compile(r"404|does not have a Release file|File not found", re.I), "sources.missing", "the source has no such suite"),
    (
        re.compile(r"Failed to fetch|Could not (?:resolve|connect)|Connection|timed out|Unable to connect|Temporary failure", re.I),
        "sources.unreachable",
        "the source does not answer",
    ),
)


def judge(text):
    """What is wrong with sources by apt's own messages: {URL or "": (finding id, title, message)}, one per URL."""
    out = {}
    for line in text.splitlines():
        if not line.startswith(("E:", "W:", "Err:")):
            continue
        message = line.split(":", 1)[1].strip()
        url = next(iter(re.findall(r"(?:https?|ftp|file|copy|cdrom|mirror\S*):/[^\s'\"]+", message)), "")
        for pattern, ident, title in _SAID:
            if pattern.search(message):
                known = out.get(url)
                order = [entry[1] for entry in _SAID]
                if known is None or order.index(ident) < order.index(known[0]):
                    out[url] = (ident, title, message)
                break
    return out
