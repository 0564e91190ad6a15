# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""HestiaCP and Vesta: an export goes back. What v-restore-user leaves as it is, as the customer has it already, comes from the settings' archive."""

from __future__ import annotations

import os
import re
import shutil
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _hestia_conf, _hestia_verify
from ansible_collections.intact.hosting.plugins.module_utils._panels import _panel_host as host

BACKUPS = "/backup"


def settings_paths(found):
    """(what the archive of the settings holds, what is left out of it)."""
    root = found["root"]
    paths = [root + "/conf", root + "/data", root + "/ssl", "/etc/hestiacp", "/etc/passwd", "/etc/shadow", "/etc/group"]
    return paths, [root + "/data/sessions", root + "/data/queue", root + "/data/templates/web/skel", root + "/log"]


def restore(system, found, opened, say):
    """Packages first, as customers need theirs; then each customer's backup; then the customers' settings to the letter.

    The panel's own configuration (conf, with its version and its logins) stays as it is on this host: the export has it for a person to look at.
    """
    root, said, worst = found["root"], [], 0
    foreign = _foreign(system, found, opened)
    if foreign:
        return {"said": ["%s: not this host's addresses (data/ips): add them (v-add-sys-ip), or no site would answer" % ", ".join(foreign)], "rc": 1}
    packages = host.unpack(system, opened.files[_hestia_verify.SETTINGS], lambda path: path.startswith(root + "/data/packages/"))
    said.append("setting panel: %d packages were put back; conf stays as it is on this host" % packages)
    for name in opened.names("artefact"):
        match = _hestia_verify.ARTEFACT.match(name)
        if match:
            say("restore of customer %s" % escape(match.group("user")))
            status, lines = _customer(system, found, opened.files[name], name, match.group("user"))
            said += ["customer %s: %s" % (escape(match.group("user")), line) for line in lines]
            worst = max(worst, status)
    if worst:
        return {"said": said, "rc": worst}
    say("settings of all customers")
    own = re.compile(re.escape(root) + r"/data/users/[^/]+(?:/(?:(?:user|web|dns|mail|db|cron|backup-excludes)\.conf|(?:dns|mail|ssl)(?:/[^/]+)?))?\Z")
    count = host.unpack(system, opened.files[_hestia_verify.SETTINGS], lambda path: bool(own.match(path)))
    said.append("setting panel: %d files of customers' settings were put back" % count)
    return {"said": said, "rc": worst}


def _foreign(system, found, opened):
    """Addresses of sites and zones in the export that the panel on this host does not have."""
    own = set(system.listdir(found["root"] + "/data/ips"))
    contents = opened.contents(_hestia_verify.SETTINGS, lambda path, _size: path.endswith(("/web.conf", "/dns.conf")), enter=lambda _path: False)
    told = {held.get("IP", "") for data in contents.kept.values() for held in _hestia_conf.lines(data.decode("utf-8", "surrogateescape"))}
    return sorted(told - own - {""}) if own else []


def _customer(system, found, path, name, user):
    """(exit status, lines) of v-restore-user, which takes its archive from /backup only. What lies there by this name may be another one."""
    moment = time.time()
    while system.exists("%s/%s" % (BACKUPS, name)):
        name = "%s.%s.tar" % (user, time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(moment)))
        moment += 1
    beside = host.place(system, "%s/%s" % (BACKUPS, name))
    try:
        out = os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")
    except OSError as exc:
        raise IntactError("%s can't be put into %s: %s" % (name, BACKUPS, exc.strerror), path=path) from exc
    try:
        with out, open(path, "rb") as source:
            shutil.copyfileobj(source, out, 1 << 20)
        environment = {"VESTA": found["root"]} if found["flavour"] == "vesta" else {}
        done = host.call(system, ["%s/bin/v-restore-user" % found["root"], user, name], environment)
    finally:
        os.unlink(beside)
    if not done.rc:
        return 0, []
    told = host.words(done)
    error = next((line for line in told if line.startswith("Error:")), (told or ["no word about why"])[-1])
    return done.rc, ["exit %d (%s): %s" % (done.rc, _hestia_conf.status(done.rc), error)]
