# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Bring dpkg back to a sound state before each package stage: what a kill, a power cut or a full disk left. Nothing is deleted, only set aside."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _again, _host, _simulate, _stages

DPKG = "/var/lib/dpkg"
# dpkg writes its whole database anew after 250 entries.
MOST = 300
AGAIN = "repair it by hand (the log is %s), then start the upgrade again: it goes on where it stopped"


def needed(audit, updates, status):
    """Why dpkg needs healing, as a list of sentences; [] when it is sound. Pure.

    audit: output of dpkg --audit. updates: names in dpkg's updates directory. status: text of db:Status-Abbrev per package.
    """
    why = []
    if audit.strip():
        why.append("dpkg --audit: " + audit.strip().splitlines()[0])
    left = [name for name in updates if name.isdigit()]
    if left:
        why.append("%d unfinished entries in %s/updates" % (len(left), DPKG))
    broken = [line.split()[0] for line in status.splitlines() if len(line.split()) > 1 and (line.split()[1][1:2] in "UFHWt" or line.split()[1][2:3] == "R")]
    if broken:
        why.append("not configured: " + ", ".join(broken[:8]))
    return why


def parsable(data):
    """Whether a file of dpkg's updates directory can be a list of fields: dpkg refuses everything when one is not. Pure."""
    if b"\0" in data or not data.endswith(b"\n"):
        return False
    lines = data.split(b"\n")
    return lines[0].startswith(b"Package:") and all(not line or line[:1] in b" \t" or re.match(rb"^[!-9;-~]+:", line) for line in lines)


def failed_packages(log):
    """Names of packages that dpkg could not process, by its own words. Pure."""
    found = re.findall(r"dpkg: error processing (?:package|archive) (\S+)", log)
    return sorted({re.sub(r"_[^/]*$", "", name.rsplit("/", 1)[-1]).split(":")[0] for name in found})


def disk_full(log):
    """Whether the log says that a filesystem was full. Pure."""
    return "No space left on device" in log


def lists_lost(log):
    """Whether the log says that apt knows no archive of a package that must be installed again: a power cut emptied its lists. Pure."""
    return "needs to be reinstalled, but I can't find an archive for it" in log


def heal(host):
    """Heal when needed; returns what was wrong ([] when nothing). Raises StageFailure when the same package fails a third time."""
    host.wait_for_dpkg()
    why = look(host)
    if host.power_was_cut:
        why = why or ["the power was cut"]
    if not why:
        return []
    host.note("healing: " + "; ".join(why))
    host.memory.journal("note", text="healing dpkg: " + "; ".join(why))
    _set_aside(host)
    start = host.log_size()
    if host.power_was_cut:
        _again.again(host)
        host.power_was_cut = False
    for attempt in range(3):
        rc = host.packages(["dpkg", "--configure", "-a"] + _host.CONFFILES, status=False)
        words = [word for option in _host.OPTIONS + host.sources() for word in ("-o", option)]
        _refuse_losses(host, words)
        rc = host.packages(["apt-get", "-y", "-q"] + words + ["-f", "install"]) or rc
        still = look(host)
        if not still:
            return why
        log = host.log_since(start)
        judge(host, log, "dpkg is still not sound: " + "; ".join(still))
        if lists_lost(log):
            host.read_lists()
        start = host.log_size()
        time.sleep(1 + attempt)
    raise _host.StageFailure("dpkg is still not sound: " + "; ".join(look(host)), AGAIN % host.log)


def _refuse_losses(host, words):
    """A repair that would take packages away which the plan keeps is worse than the damage."""
    would = host.run(["apt-get", "-s", "-q"] + words + ["-f", "install"], check=False, timeout=900)
    lost = host.against_plan(_simulate.transaction(would.text))
    if lost:
        raise _host.StageFailure("repairing dpkg's state would go against the plan: %s" % "; ".join(lost[:5]), AGAIN % host.log)


def look(host):
    """Why dpkg needs healing now."""
    updates = os.listdir(DPKG + "/updates") if os.path.isdir(DPKG + "/updates") else []
    audit = host.run(["dpkg", "--audit"], check=False)
    status = host.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n"], check=False)
    why = needed(audit.text, updates, status.text)
    if status.rc != 0:
        why.append("dpkg cannot read its state: %s" % (status.error.splitlines() or ["status %d" % status.rc])[-1])
    return why


def judge(host, log, sentence):
    """Count the failures of each package that the log names; raises StageFailure on the third of the same one, or on a full disk."""
    full = host.full()
    if disk_full(log) or full:
        # The log itself may be on it, and then says nothing of it.
        raise _host.StageFailure(
            "a filesystem is full%s: %s" % (" (%s)" % ", ".join(full) if full else "", sentence),
            "make room (df -h), then start the upgrade again: it goes on where it stopped",
        )
    names = failed_packages(log) or ["apt"]
    attempts, given_up = _stages.after_failures(host.memory.state["attempts"], names)
    host.memory.save(attempts=attempts)
    if given_up:
        # "apt" is in every command that the log repeats
        said = [line for line in log.splitlines() if any(name in line for name in given_up) and not line.startswith("--- ")][-3:] if given_up != ["apt"] else []
        raise _host.StageFailure("%s failed three times: %s" % (", ".join(given_up), " | ".join(said) or sentence), AGAIN % host.log)


def refused(said):
    """The file of dpkg's updates directory at which dpkg stops, by its own words; "" when it is none. Pure."""
    found = re.search(r"parsing file '(%s/updates/\d+)'" % DPKG, said)
    return found.group(1) if found else ""


def _set_aside(host):
    """Back up dpkg's database once per stage and move entries that cannot be read out of its way."""
    host.keep(DPKG, "heal-%d" % int(time.time()))
    updates = DPKG + "/updates"
    for name in sorted(os.listdir(updates)) if os.path.isdir(updates) else []:
        path = os.path.join(updates, name)
        with open(path, "rb") as handle:
            data = handle.read()
        if name.isdigit() and not parsable(data):
            _away(host, path)
    # What looks like a record may still be none to dpkg, which then refuses everything.
    for _entry in range(MOST):
        path = refused(host.run(["dpkg-query", "-W", "-f", ""], check=False).error)
        if not path or not os.path.exists(path):
            break
        _away(host, path)


def _away(host, path):
    """Move an entry to the backups."""
    aside = os.path.join(host.backups, "unreadable-updates")
    os.makedirs(aside, mode=0o700, exist_ok=True)
    host.run(["mv", "--", path, os.path.join(aside, "%s-%d" % (os.path.basename(path), int(time.time())))])
    host.memory.journal("note", text="set aside unreadable %s" % path)
