# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""/etc as it would be after the upgrade: today's, with what nobody edited replaced by the target's, and the operator's target files on top."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import stat


def parse_conffiles(text):
    """{path: md5} from `dpkg-query -f '${Conffiles}\\n'`; obsolete ones are left out, dpkg leaves them alone."""
    return {path: digest for path, digest, flag in re.findall(r"(?m)^ (/.*?) ([0-9a-f]{32})( obsolete)?$", text) if not flag}


def parse_ucf(text):
    """{path: md5} of the configuration files that ucf manages, as it wrote them last."""
    return {path: digest for digest, path in re.findall(r"(?m)^([0-9a-f]{32})\s+(/.*)$", text)}


def fate(known, live, offered):
    """Which one is in place after an upgrade that keeps edited files: live, target or none. Pure.

    known: md5 that the package manager recorded, or None. live: md5 of today's file, or None when it was deleted.
    offered: whether the target's package brings this file.
    """
    if known is None:
        return "live" if live is not None else "target"
    if live is None:
        return "none"  # somebody deleted it on purpose, and dpkg respects that
    return "target" if live == known and offered else "live"


def digest(path):
    """md5 of a regular file, None when there is none; dpkg records md5, so it is what we compare."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as handle:
            return hashlib.md5(handle.read()).hexdigest()
    except OSError:
        return None


def templates(base):
    """{end of path: path} of the files below usr/share and usr/lib that may be ucf's source: two last parts, or the name below a package's own directory."""
    out, loose = {}, {}
    for top in ("usr/share", "usr/lib"):
        for directory, _names, files in os.walk(os.path.join(base, top)):
            if "/doc/" in directory or "/locale" in directory:
                continue
            for name in files:
                path = os.path.join(directory, name)
                out.setdefault("/".join(path.rsplit("/", 2)[1:]), path)
                # /usr/share/proftpd/templates/modules.conf is /etc/proftpd/modules.conf
                below = os.path.relpath(path, os.path.join(base, top)).split("/")
                if len(below) > 2:
                    loose.setdefault("%s/%s" % (below[0], below[-1]), []).append(path)
    # of several nobody knows which one it is: then today's file is what is tried
    return dict({end: paths[0] for end, paths in loose.items() if len({digest(path) for path in paths}) == 1}, **out)


def copy(source, target):
    """Copy one file or link with its mode and owner; the directory above has to be there. Sockets and the like are passed over."""
    info = os.lstat(source)
    if os.path.lexists(target) and not stat.S_ISDIR(os.lstat(target).st_mode):
        os.unlink(target)
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(info.st_mode):
        with open(source, "rb") as read, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as write:
            shutil.copyfileobj(read, write)
        os.chown(target, info.st_uid, info.st_gid)
        os.chmod(target, stat.S_IMODE(info.st_mode))


def lay(source, target, skip=()):
    """Lay a tree over another one, without following links. skip: paths relative to source that are left as they are."""
    for directory, names, files in os.walk(source):
        relative = os.path.relpath(directory, source)
        here = os.path.normpath(os.path.join(target, relative))
        if os.path.islink(here):
            os.unlink(here)
        if not os.path.isdir(here):
            os.makedirs(here, exist_ok=True)
        info = os.lstat(directory)
        os.chown(here, info.st_uid, info.st_gid)
        os.chmod(here, stat.S_IMODE(info.st_mode))
        for name in files + [n for n in names if os.path.islink(os.path.join(directory, n))]:
            inside = os.path.normpath(os.path.join(relative, name))
            if inside not in skip:
                copy(os.path.join(directory, name), os.path.join(here, name))


def _carry(rule, live, dest, known):
    """Take files along to their new path as the upgrade's own stage does; differences of ini files are its business."""
    source, target = str(rule.get("from", "")), str(rule.get("to", ""))
    if rule.get("kind", "files") != "files" or not (source.startswith("/etc/") and target.startswith("/etc/")):
        return
    into = target.endswith("/")
    target = os.path.join(dest, target[len("/etc/") :].rstrip("/"))
    for path in sorted(glob.glob(os.path.join(live, source[len("/etc/") :].rstrip("/")))):
        named = "/etc/" + os.path.relpath(path, live)
        if os.path.islink(path) or (rule.get("edited_only") and known.get(named) == digest(path)):
            continue
        here = os.path.join(target, os.path.basename(path)) if into else target
        if os.path.isdir(path):
            lay(path, here)
        else:
            os.makedirs(os.path.dirname(here), exist_ok=True)
            copy(path, here)


def merge(live, base, dest, conffiles, ucf, carry=(), target_files=""):
    """Build dest (made new, 0700 above it) from live /etc, the target's packages unpacked in base, and the operator's files.

    Returns the paths (as /etc/...) that come from the target although the host has them.
    """
    os.makedirs(dest, exist_ok=True)
    if os.path.isdir(os.path.join(base, "etc")):
        lay(os.path.join(base, "etc"), dest)
    sources, fresh = templates(base), set()
    for path, known in list(conffiles.items()) + list(ucf.items()):
        if not path.startswith("/etc/"):
            continue
        inside = path[len("/etc/") :]
        offered = os.path.join(base, "etc", inside)
        managed = path in ucf and path not in conffiles
        if managed:
            offered = sources.get("/".join(path.rsplit("/", 2)[1:]), "")
        choice = fate(known, digest(os.path.join(live, inside)), bool(offered) and os.path.isfile(offered))
        if choice == "target":
            fresh.add(inside)
            if managed:
                os.makedirs(os.path.dirname(os.path.join(dest, inside)), exist_ok=True)
                copy(offered, os.path.join(dest, inside))
        elif choice == "none" and os.path.lexists(os.path.join(dest, inside)):
            os.unlink(os.path.join(dest, inside))
    lay(live, dest, skip=fresh)
    for inside in fresh:
        # dpkg gives a new conffile the owner and mode of the one it replaces
        info, path = os.lstat(os.path.join(live, inside)), os.path.join(dest, inside)
        os.chown(path, info.st_uid, info.st_gid)
        os.chmod(path, stat.S_IMODE(info.st_mode))
    known = dict(conffiles, **ucf)
    for rule in carry:
        _carry(rule, live, dest, known)
    if target_files and os.path.isdir(os.path.join(target_files, "etc")):
        lay(os.path.join(target_files, "etc"), dest)
    return sorted("/etc/" + inside for inside in fresh)
