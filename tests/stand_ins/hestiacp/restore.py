# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""v-restore-user of the stand-in. As HestiaCP's: a user that is there is merged into, and keeps the settings of what it already has."""

from __future__ import annotations

import io
import os
import re
import tarfile

from stand_ins.hestiacp.programs import ARGS, NOTEXIST, OK, PARSING, Stop
from stand_ins.kit import put, real, text


def restore(panel, arguments):
    """The exit code of v-restore-user USER BACKUP [...]."""
    if len(arguments) < 2:
        print("Usage: v-restore-user USER BACKUP [WEB] [DNS] [MAIL] [DB] [CRON] [UDIR] [NOTIFY]")
        return ARGS
    user, name = arguments[:2]
    place = real(panel.root, "/backup/" + name)
    if not os.path.exists(place):
        raise Stop(NOTEXIST, "backup file %s doesn't exist in '/backup' folder" % name)
    members = _members(place)
    own = {path.split("/", 1)[1]: data for path, data in members.items() if path.startswith(("hestia/", "vesta/"))}
    if "user.conf" not in own:
        raise Stop(PARSING, "Can't unpack user container")
    if not os.path.isdir(real(panel.root, panel.data(user))):
        print("-- USER --")
        for path, data in own.items():
            put(panel.root, panel.data(user, path), data, 0o660)
        if not re.search("^%s:" % re.escape(user), text(panel.root, "/etc/passwd"), re.M):
            for base in ("passwd", "group", "shadow"):
                put(panel.root, "/etc/" + base, text(panel.root, "/etc/" + base) + members["pam/" + base].decode(), 0o600 if base == "shadow" else 0o644)
    for path, data in members.items():
        found = re.match(r"(web|dns|mail|db)/([^/]+)/(?:hestia|vesta)/(.+)\Z", path)
        if not found:
            continue
        kind, thing, inner = found.groups()
        if inner == kind + ".conf":
            conf = panel.data(user, kind + ".conf")
            key = "DB" if kind == "db" else "DOMAIN"
            if "%s='%s'" % (key, thing) not in text(panel.root, conf):
                put(panel.root, conf, text(panel.root, conf) + data.decode(), 0o660)
        elif kind in ("dns", "mail"):
            put(panel.root, panel.data(user, kind, inner), data, 0o660)
        elif inner.startswith(thing + "."):
            put(panel.root, panel.data(user, "ssl", inner), data, 0o660)
    put(panel.root, panel.data(user, "cron.conf"), members.get("cron/cron.conf", b""), 0o660)
    for path, data in members.items():
        found = re.match(r"web/([^/]+)/domain_data\.tar\.gz\Z", path)
        if found:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                archive.extractall(real(panel.root, "/home/%s/web/%s" % (user, found.group(1))))
    return OK


def _members(place):
    """{path: bytes}; 12 for what tar can't read."""
    try:
        with tarfile.open(place) as archive:
            return {info.name[2:]: archive.extractfile(info).read() for info in archive if info.isfile()}
    except (tarfile.TarError, EOFError) as exc:
        raise Stop(PARSING, "Can't unpack web container") from exc
