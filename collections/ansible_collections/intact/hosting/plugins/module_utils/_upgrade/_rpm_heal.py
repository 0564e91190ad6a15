# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Bring rpm's database back to a sound state before each package stage. What can be seen of a cut, and what cannot: docs/engines.md."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _rpm_says, _stages

AGAIN = "repair it by hand (the log is %s), then start the upgrade again: it goes on where it stopped"
KEY = "scripts"


def beside(host):
    """Names of packages of which several versions may be installed, as their own packages say."""
    words = ["rpm", "-q", "--qf", "%{NAME}\n", "--whatprovides", "installonlypkg(kernel)", "installonlypkg(kernel-module)", "multiversion(kernel)"]
    return {line for line in host.run(words, check=False).text.splitlines() if " " not in line}


def unreadable(host):
    """Why rpm's database cannot be trusted, or ""."""
    if host.run(["rpm", "-qa", "--qf", "%{NAME}\n"], check=False).rc != 0:
        return "rpm cannot read its database"
    checked = host.run(["rpmdb", "--verifydb"], check=False)
    return "" if checked.rc == 0 else "rpmdb --verifydb: %s" % ((checked.error or checked.text).splitlines() or ["status %d" % checked.rc])[-1]


def look(host):
    """Why rpm needs healing now, as sentences; [] when it is sound."""
    wrong = unreadable(host)
    if wrong:
        return [wrong]
    why = []
    twice = _rpm_says.duplicates(host.installed(), beside(host))
    if twice:
        why.append("installed twice after a cut: " + ", ".join(_rpm_says.nevra(e) for e in twice[:8]))
    scripts = host.memory.recall(KEY) or {}
    if scripts:
        why.append("scripts failed: " + ", ".join("%%%s of %s" % (script, name) for name, script in sorted(scripts.items())))
    return why


def heal(host, archive):
    """Heal when needed; returns what was wrong ([] when nothing). Raises StageFailure when the same package fails a third time.

    archive: name-version-release.arch -> path of the downloaded package, or None.
    """
    host.wait_for_dpkg()
    _remember_cut(host)
    why = look(host)
    if not why:
        return []
    host.note("healing: " + "; ".join(why))
    host.memory.journal("note", text="healing rpm: " + "; ".join(why))
    for attempt in range(3):
        start = host.log_size()
        _repair(host, archive)
        still = look(host)
        if not still:
            return why
        judge(host, host.log_since(start), "rpm is still not sound: " + "; ".join(still))
        time.sleep(1 + attempt)
    raise _host.StageFailure("rpm is still not sound: " + "; ".join(look(host)), AGAIN % host.log)


def _remember_cut(host):
    """Neither rpm nor its database tells that a transaction was cut. Our log does; scripts that it kept from running are run again."""
    text, began, ended = _rpm_says.last_command(host.log_since(max(0, host.log_size() - (1 << 22))))
    if ended:
        return
    note_scripts(host, text)
    # dnf's last word, when it was only the runner that was killed.
    if not re.search(r"(?m)^Complete!", text) and not unreadable(host):
        cut = _rpm_says.cut_short(host.installed(), began)
        if cut:
            host.memory.remember(KEY, dict(cut, **(host.memory.recall(KEY) or {})))
    host.note("ended with status unknown")


def _repair(host, archive):
    """One attempt at what look() found."""
    if unreadable(host):
        host.keep(host.database, "heal-%d" % int(time.time()))
        host.packages(["rpmdb", "--rebuilddb"])
        if unreadable(host):
            return
    for entry in _rpm_says.duplicates(host.installed(), beside(host)):
        # What the cut transaction would have done next. --nodeps: the other version provides what others need.
        host.packages(["rpm", "-e", "--nodeps", _rpm_says.nevra(entry)])
    for name in sorted(host.memory.recall(KEY) or {}):
        run_again(host, name, archive)


def run_again(host, name, archive):
    """Install the same package over itself, so that its scripts run; forget it when they did not fail."""
    there = host.run(["rpm", "-q", name], check=False).rc == 0
    path = archive(name) if there else None
    if path:
        start = host.log_size()
        host.packages(["rpm", "-U", "--replacepkgs", "--replacefiles", "--oldpackage", "--nodeps", path])
        if _rpm_says.failed_packages(host.log_since(start)):
            return
    elif there:
        script = (host.memory.recall(KEY) or {}).get(name, "post")
        _forget(host, name)
        raise _host.StageFailure(
            "the script %%%s of %s did not come to its end, and its package is no longer on the disk to run it again" % (script, name),
            "read it (rpm -q --scripts %s), do by hand what it does, then start the upgrade again: it goes on where it stopped" % name,
        )
    _forget(host, name)


def _forget(host, name):
    left = dict(host.memory.recall(KEY) or {})
    left.pop(name, None)
    host.memory.remember(KEY, left or None)


def note_scripts(host, log):
    """Remember the packages that are installed although a script of theirs failed: rpm itself would never run it again."""
    after = {name: script for name, script in _rpm_says.failed_scripts(log).items() if script.startswith(("post", "trigger")) and script != "postun"}
    if after:
        host.memory.remember(KEY, dict(host.memory.recall(KEY) or {}, **after))
    return after


def judge(host, log, sentence):
    """Count the failures of each package that the log names; raises StageFailure on the third of the same one, or on a full disk."""
    if _rpm_says.disk_full(log):
        raise _host.StageFailure("a filesystem is full: %s" % sentence, "make room (df -h), then start the upgrade again: it goes on where it stopped")
    names = _rpm_says.failed_packages(log) or ["the package manager"]
    attempts, given_up = _stages.after_failures(host.memory.state["attempts"], names)
    host.memory.save(attempts=attempts)
    if given_up:
        said = [line.strip() for line in log.splitlines() if any(name in line for name in given_up) and not line.startswith("---")][-3:]
        raise _host.StageFailure("%s failed three times: %s" % (", ".join(given_up), " | ".join(said) or sentence), AGAIN % host.log)


def unmet(host):
    """Sorted lines in which rpm names what installed packages lack."""
    text = host.run(["rpm", "-Va", "--nofiles", "--nodigest", "--nosignature"], check=False, timeout=1800).text
    out, package = set(), ""
    for line in text.splitlines():
        if line.startswith("Unsatisfied dependencies for "):
            # Without the version: the upgrade changes it, and the lack is the same.
            package = re.sub(r"-[^-]+-[^-]+$", "", line.split(" for ", 1)[1].rstrip(":"))
        elif line.startswith(("\t", " ")) and package:
            out.add("%s: %s" % (package, re.sub(r" is needed by .*", "", line.strip())))
    return sorted(out)


def archives(directory):
    """{name-version-release.arch: path} of the packages below a directory."""
    out = {}
    for top, _names, files in os.walk(directory):
        out.update({name[:-4]: os.path.join(top, name) for name in files if name.endswith(".rpm")})
    return out


def keep_archives(cache, kept):
    """A second name for each downloaded package: zypper deletes what it has installed, and a script that failed is run again from there."""
    os.makedirs(kept, mode=0o700, exist_ok=True)
    for name, path in archives(cache).items():
        second = os.path.join(kept, name + ".rpm")
        if not os.path.lexists(second):
            os.link(path, second)


def broken_archives(host, paths):
    """Paths whose digests do not fit what is in them."""
    out = []
    for path in sorted(paths):
        try:
            host.run(["rpm", "-K", "--nosignature", path])
        except IntactError:
            out.append(path)
    return out
