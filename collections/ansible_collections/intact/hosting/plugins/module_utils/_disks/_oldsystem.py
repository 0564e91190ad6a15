# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""What an old server was, told by its root: release, fstab, accounts, panel, web server, databases, mail, lists, jobs. Reads below the root only."""

from __future__ import annotations

import os
import re
import struct

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable
from ansible_collections.intact.hosting.plugins.module_utils._disks import _olddata, _oldmail
from ansible_collections.intact.hosting.plugins.module_utils._disks._release import distribution, hostname
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _registry

LARGE = 4 << 20
# first uid of people where /etc/login.defs does not say: by family
FIRST = {"redhat": 500, "debian": 1000}
# server: programs; what they call themselves in their own bytes
WEB = {
    "apache": (
        ("/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/sbin/apache", "/usr/local/apache2/bin/httpd", "/usr/local/apache/bin/httpd"),
        rb"Apache/(\d[\d.]+)",
    ),
    "nginx": (("/usr/sbin/nginx", "/usr/local/nginx/sbin/nginx"), rb"nginx/(\d[\d.]+)"),
    "lighttpd": (("/usr/sbin/lighttpd",), rb"lighttpd/(\d[\d.]+)"),
    "litespeed": (("/usr/local/lsws/bin/lshttpd",), rb"LiteSpeed/(\d[\d.]+)"),
}
PACKAGES = {"apache": ("apache2-bin", "apache2.2-bin", "apache2.2-common", "apache2", "apache"), "nginx": ("nginx-core", "nginx"), "lighttpd": ("lighttpd",)}


class Bounded(Rooted):
    """A view that reads no more of a file than anybody wrote by hand, unless it is told to: a sparse one of a terabyte costs a customer nothing."""

    def read(self, path, limit=None):
        return super().read(path, LARGE if limit is None else limit)


def view_of(root):
    """A view of a mounted old root, which names owners as that disk does. IntactError when it is none, or is this running host."""
    place = os.path.realpath(os.fsencode(root))
    shown = escape(place)
    if not os.path.isdir(place + b"/etc"):
        raise IntactError("%s is no root of a server: there is no directory etc in it" % shown, path=shown)
    if os.path.samefile(place, "/"):
        raise IntactError("%s is the root of this running host, not of an old disk" % shown, path=shown)
    names = []
    for file in ("passwd", "group"):
        told = (line.split(":") for line in _olddata.text(Rooted(place), "/etc/" + file).splitlines())
        names.append({words[2]: words[0] for words in told if len(words) > 2})
    return Bounded(place, owners=names[0], groups=names[1])


def describe(root):
    """{root distribution hostname fstab accounts panel web databases mail lists jobs packages said} of a mounted old root.

    A part that can't be read is left out and named in `said` [{what why}]: a damaged disk must not hide the rest. IntactError when it is no root.
    """
    view, said = view_of(root), []
    out = {"root": escape(view.root), "said": said}
    packages = _guarded(said, "packages", _olddata.packages, view) or {"format": "", "versions": {}}
    parts = (
        ("distribution", lambda: distribution(lambda path: _olddata.text(view, path))),
        ("hostname", lambda: hostname(lambda path: _olddata.text(view, path))),
        ("fstab", lambda: fstab(view)),
        ("accounts", lambda: accounts(view, out.get("distribution") or {})),
        ("panel", lambda: panels(view, said)),
        ("web", lambda: web(view, packages["versions"])),
        ("databases", lambda: _olddata.databases(view, packages["versions"])),
        ("mail", lambda: _oldmail.mail(view, packages["versions"])),
        ("lists", lambda: _oldmail.lists(view)),
        ("jobs", lambda: _oldmail.jobs(view)),
    )
    for name, look in parts:
        out[name] = _guarded(said, name, look)
    out["packages"] = {"format": packages["format"], "count": len(packages["versions"])}
    return out


def fstab(view):
    """The lines of /etc/fstab as _mounttable.fstab tells them, made printable."""
    shown = ("source", "fstype", "dump", "pass")
    rows = _mounttable.fstab(view)
    return [dict(row, options=[escape(o) for o in row["options"]], **{key: escape(row[key]) for key in shown}) for row in rows]


def panels(view, said):
    """[{name title version root}] of the panels whose files are there."""
    out = []
    for driver in _registry.DRIVERS:
        held = _guarded(said, "panel " + driver.NAME, driver.detect, view) if driver.NAME != _registry.NONE else None
        if held:
            out.append({"name": driver.NAME, "title": driver.TITLE, "version": escape(held.get("version") or ""), "root": escape(held.get("root") or "")})
    return out


def _guarded(said, what, look, *arguments):
    try:
        return look(*arguments)
    except (OSError, IntactError, ValueError, KeyError, IndexError, TypeError, struct.error) as exc:  # one broken file must not hide the rest
        said.append({"what": what, "why": getattr(exc, "strerror", None) or str(exc)})
        return None


def accounts(view, release):
    """{total first_uid people [{name uid gid home shell login}] system shared {uid: [names]}}: people are those from the first uid of their system on."""
    rows = [line.split(":") for line in _olddata.text(view, "/etc/passwd").splitlines()]
    rows = [row for row in rows if len(row) == 7 and row[2].isdigit() and row[3].isdigit()]
    told = re.search(r"^\s*UID_MIN\s+(\d+)", _olddata.text(view, "/etc/login.defs"), re.MULTILINE)
    first = int(told.group(1)) if told else FIRST.get(release.get("family"), 500)
    people, shared = [], {}
    for name, _x, uid, gid, _gecos, home, shell in rows:
        shared.setdefault(uid, []).append(escape(name))
        if int(uid) >= first and name not in ("nobody", "nfsnobody"):
            login = shell.rpartition("/")[2] not in ("nologin", "false", "sync", "halt", "shutdown")
            people.append({"name": escape(name), "uid": int(uid), "gid": int(gid), "home": escape(home), "shell": escape(shell), "login": login})
    return {
        "total": len(rows),
        "first_uid": first,
        "people": people,
        "system": len(rows) - len(people),
        "shared": {uid: names for uid, names in sorted(shared.items()) if len(names) > 1},
    }


def web(view, versions):
    """[{server version how (package | program) program}] of the web servers that are installed."""
    out = []
    for server, (programs, pattern) in WEB.items():
        program = next((path for path in programs if view.exists(path)), None)
        if not program:
            continue
        package = next((name for name in PACKAGES.get(server, ()) if name in versions), None)
        version, how = (versions[package], "package") if package else (_olddata.inside(view, program, pattern), "program")
        out.append({"server": server, "version": version, "how": how if version else "", "program": program})
    return out
