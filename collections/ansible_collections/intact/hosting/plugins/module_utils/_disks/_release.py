# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Which release an old root is of, by the files that each family leaves; works with any reader of texts, so also on a disk that is not mounted."""

from __future__ import annotations

import re
import shlex

from ansible_collections.intact.hosting.plugins.module_utils._files import escape

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
# file, id, family; the first that is there counts, derivatives before what they derive from
FILES = (
    ("/etc/fedora-release", "fedora", "redhat"),
    ("/etc/centos-release", "centos", "redhat"),
    ("/etc/redhat-release", "rhel", "redhat"),
    ("/etc/SuSE-release", "suse", "suse"),
    ("/etc/mandriva-release", "mandriva", "redhat"),
    ("/etc/gentoo-release", "gentoo", "gentoo"),
    ("/etc/slackware-version", "slackware", "slackware"),
    ("/etc/alpine-release", "alpine", "alpine"),
    ("/etc/debian_version", "debian", "debian"),
)
ALL = (*OS_RELEASE, "/etc/lsb-release", *(row[0] for row in FILES))
FAMILIES = {"debian": "debian", "ubuntu": "debian", "rhel": "redhat", "centos": "redhat", "fedora": "redhat", "suse": "suse", "opensuse": "suse"}


def distribution(text):
    """{id version name family file} by text(path) -> str; {} when nothing tells."""
    debian = text("/etc/debian_version").strip()
    for path in OS_RELEASE:
        told = _pairs(text(path))
        if told.get("ID"):
            words = [told["ID"], *told.get("ID_LIKE", "").split()]
            family = next((FAMILIES[word] for word in words if word in FAMILIES), "")
            # Debian says its point release only there
            version = debian if told["ID"] == "debian" and debian[:1].isdigit() else told.get("VERSION_ID", "")
            return _told(told["ID"], version, told.get("PRETTY_NAME", ""), family, path)
    told = _pairs(text("/etc/lsb-release"))
    if told.get("DISTRIB_ID") and told.get("DISTRIB_RELEASE"):
        name = told["DISTRIB_ID"].lower()
        return _told(name, told["DISTRIB_RELEASE"], told.get("DISTRIB_DESCRIPTION", ""), FAMILIES.get(name, ""), "/etc/lsb-release")
    for path, name, family in FILES:
        line = next(iter(text(path).strip().splitlines()), "")
        if not line:
            continue
        if path == "/etc/redhat-release" and "centos" in line.lower():
            name = "centos"
        number = re.search(r"\d+(?:\.\d+)*", line)
        label = "Debian GNU/Linux " + line if name == "debian" else line
        return _told(name, number.group() if number else line, label, family, path)
    return {}


def _told(name, version, label, family, path):
    return {"id": escape(name), "version": escape(version), "name": escape(label), "family": family, "file": path}


def hostname(text):
    """The host's own name, "" when no file tells it."""
    for path in ("/etc/hostname", "/etc/HOSTNAME"):
        word = text(path).split()
        if word:
            return escape(word[0])
    return escape(_pairs(text("/etc/sysconfig/network")).get("HOSTNAME", ""))


def _pairs(text):
    """{name: value} of shell assignments."""
    out = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            try:
                out[name] = "".join(shlex.split(value, comments=True)[:1])
            except ValueError:
                out[name] = value.strip("\"'")
    return out
