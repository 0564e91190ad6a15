# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mounts of an attachment: made read-only and harmless, found again by what is mounted, taken away in reverse order."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SAFE = ("ro", "nodev", "nosuid", "noexec")


def table():
    """Every mount of this process's view, in mount order (see _mounttable.mounted)."""
    return _mounttable.mounted(System())


def path_of(entry):
    """The mount point of an entry of table() as str."""
    return os.fsdecode(unescape(entry["target"]))


def below(target, path):
    """Whether a path is a directory or lies below it."""
    return target == path or target.startswith(path.rstrip("/") + "/")


def directory(path):
    """Make a mount point that is closed to everybody but root; the directories that were made, deepest first.

    A link in the place of a directory is refused: who can plant one chooses where an old disk appears.
    """
    made, parts = [], os.path.abspath(path).split("/")[1:]
    for count in range(1, len(parts) + 1):
        part = "/" + "/".join(parts[:count])
        try:
            os.mkdir(part, 0o700)
            made.insert(0, part)
        except FileExistsError:
            pass
        except OSError as exc:
            raise IntactError("the mount point %s can't be made: %s" % (part, exc.strerror), path=path) from exc
        if count == len(parts) and not stat.S_ISDIR(os.lstat(part).st_mode):
            raise IntactError("the mount point %s is no directory: remove it or choose another path" % path, path=path)
    if any(path_of(entry) == path for entry in table()) or os.listdir(path):
        raise IntactError("the mount point %s is not empty or in use, a mount would hide what is there: choose another path" % path, path=path)
    return made


def mount(source, target, fstype, options):
    """Mount source at target (str, a directory). options: those besides SAFE. What the kernel then shows must be SAFE, else it is taken away."""
    run(["mount", "-i", "-t", fstype, "-o", ",".join(SAFE + tuple(options)), "--", source, target], timeout=6 * 3600)
    prove(target)


def prove(target):
    """An IntactError unless a mount at target is read-only and harmless by what the kernel shows."""
    entries = [entry for entry in table() if path_of(entry) == target]
    if not entries:
        raise IntactError("nothing is mounted at %s although mount said so: look at mountinfo" % target, path=target)
    lacking = [option for option in SAFE if option not in entries[-1]["options"]]
    if lacking:
        unmount(target)
        raise IntactError("%s was mounted without %s: refused" % (target, ", ".join(lacking)), path=target)


def unmount(target):
    """Unmount target. Where somebody is in it, an IntactError names them; nothing is torn away from anybody."""
    result = run(["umount", "--", target], timeout=600, check=False)
    if result.rc == 0:
        return
    if not any(path_of(entry) == target for entry in table()):
        return
    who = users(target)
    inner = [path_of(entry) for entry in table() if below(path_of(entry), target) and path_of(entry) != target]
    said = "used by " + ", ".join(who) if who else "mounted in it are " + ", ".join(inner) if inner else result.error
    raise IntactError("%s can't be unmounted: %s; end what uses it and run state absent again" % (target, said), path=target)


def users(target):
    """Who is in a mount: ["name (pid)"], from /proc."""
    out, device = [], None
    try:
        device = os.stat(target).st_dev
    except OSError:
        return out
    for pid in (entry for entry in os.listdir("/proc") if entry.isdigit()):
        base = "/proc/" + pid
        try:
            places = [base + "/cwd", base + "/root"] + [base + "/fd/" + fd for fd in os.listdir(base + "/fd")]
        except OSError:
            continue
        for place in places:
            try:
                if os.stat(place).st_dev == device and below(os.readlink(place), target):
                    with open(base + "/comm", encoding="utf-8", errors="replace") as handle:
                        out.append("%s (%s)" % (escape(handle.read().strip()), pid))
                    break
            except OSError:
                continue
    return out
