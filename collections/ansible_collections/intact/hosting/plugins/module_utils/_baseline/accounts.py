# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who has an account, with which number, home, shell, password and keys; who is in which group; who may use sudo; who has how much quota."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _accounts_compare, _ftp, _mounttable, _sudoers
from ansible_collections.intact.hosting.plugins.module_utils._baseline._groups_compare import person
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SECTION = "accounts"
KEY = "/var/lib/intact/baseline.key"
compare = _accounts_compare.compare  # a probe's second half


def capture(system):
    """Items "user NAME", "group NAME", "sudoers PATH", "ftp NAME", "quota NAME on TARGET".

    user: uid gid gecos home shell shell_there password {state: empty | locked | set, digest} expires aging home_state keys [fingerprints].
    group: gid members [..]. Digests of password hashes are HMACs with a key that never leaves the host.
    Option read_only: make no key; without one the passwords themselves are not compared.
    """
    passwd, shadow = _table(system, "/etc/passwd", 7), _shadow(system)
    if not passwd:
        raise IntactError("/etc/passwd is empty or missing")
    key = system.secret(KEY, create=not system.options.get("read_only"))
    if key is None:
        system.skip("passwords", "there is no key to digest them with (%s): capture once as root, outside of check mode" % KEY)
    groups = _table(system, "/etc/group", 4)
    gids, uids = {g[2]: escape(g[0]) for g in reversed(groups)}, {p[2]: escape(p[0]) for p in reversed(passwd)}
    patterns = _key_patterns(system)
    items = {}
    for name, _x, uid, gid, gecos, home, shell in passwd:
        items["user " + escape(name)] = {
            "uid": int(uid),
            "gid": int(gid),
            "group": gids.get(gid, gid),
            "gecos": escape(gecos),
            "home": escape(home),
            "shell": escape(shell),
            "shell_there": not shell or system.exists(shell),
            "password": _password(shadow.get(name), key),
            "expires": _field(shadow, name, 7),
            "aging": [_field(shadow, name, i) for i in (3, 4, 5, 6)],
            "home_state": _home(system, home, uids),
            "keys": _keys(system, name, home, patterns),
        }
    for name, _x, gid, members in groups:
        items["group " + escape(name)] = {"gid": int(gid), "members": sorted({escape(m) for m in members.split(",") if m})}
    items.update(_sudoers.capture(system))
    items.update(_ftp.capture(system, key))
    items.update(_quotas(system))
    users = [i for s, i in items.items() if s.startswith("user ")]
    return {
        "items": items,
        "summary": {
            "users": len(users),
            "people and customers": sum(person(i["uid"]) for i in users),
            "groups": len(groups),
            "without a password": sum(i["password"]["state"] == "empty" for i in users),
            "with keys": sum(bool(i["keys"]) for i in users),
        },
    }


def _table(system, path, width):
    rows = (line.split(":") for line in system.text(path).split("\n") if line and not line.startswith(("#", "+", "-")))
    return [row for row in rows if len(row) == width and row[2].isdigit()]


def _shadow(system):
    try:
        return {row[0]: row for row in (line.split(":") for line in system.text("/etc/shadow").splitlines()) if len(row) == 9}
    except PermissionError:
        system.skip("/etc/shadow", "not readable: passwords, locks and expiry are unknown; run as root")
        return {}


def _field(shadow, name, index):
    return shadow[name][index] if name in shadow else ""


def _password(row, key):
    if row is None:
        return {"state": "unknown", "digest": None}
    text = row[1]
    state = "empty" if text == "" else "locked" if text[0] in "!*" else "set"
    body = text.lstrip("!")
    digest = hmac.new(key, body.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest() if key and body.strip("*") else None
    return {"state": state, "digest": digest}


def _home(system, home, uids):
    """Owner and mode of a home, or "none"."""
    state = system.lstat(home) if home.startswith("/") else None
    if state is None:
        return "none"
    kind = "" if stat.S_ISDIR(state.st_mode) else "link " if stat.S_ISLNK(state.st_mode) else "no directory "
    return "%s%04o %s" % (kind, state.st_mode & 0o7777, uids.get(str(state.st_uid), state.st_uid))


def _key_patterns(system):
    """AuthorizedKeysFile of sshd (first one wins, Match blocks aside), as patterns with %h and %u."""
    for path in ["/etc/ssh/sshd_config.d/" + n for n in system.listdir("/etc/ssh/sshd_config.d") if n.endswith(".conf")] + ["/etc/ssh/sshd_config"]:
        for line in system.text(path).splitlines():
            fields = line.replace("=", " ").split()
            if fields and fields[0].lower() == "match":
                break
            if len(fields) > 1 and fields[0].lower() == "authorizedkeysfile":
                return fields[1:]
    return [".ssh/authorized_keys", ".ssh/authorized_keys2"]


def _keys(system, name, home, patterns):
    """Sorted keys that open this account: "TYPE SHA256:... [options]", as ssh-keygen -l shows them."""
    out = set()
    for pattern in patterns:
        path = pattern.replace("%%", "\0").replace("%h", home).replace("%u", name).replace("\0", "%")
        path = path if path.startswith("/") else os.path.join(home, path)
        try:
            text = system.text(path) if home.startswith("/") else ""
        except (OSError, ValueError):
            continue
        for line in text.splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                out.add(fingerprint(line))
    return sorted(out)


def fingerprint(line):
    """A line of authorized_keys as type, SHA256 fingerprint and what stands before the key (its options)."""
    fields = line.split()
    for index, field in enumerate(fields[:-1]):
        if field.startswith(("ssh-", "ecdsa-", "sk-")):
            try:
                digest = base64.b64encode(hashlib.sha256(base64.b64decode(fields[index + 1], validate=True)).digest()).decode().rstrip("=")
            except ValueError:
                break
            return escape(" ".join([field, "SHA256:" + digest] + fields[:index]))
    return "unreadable line sha256:" + hashlib.sha256(line.strip().encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _quotas(system):
    """Limits (not use) where a file system is mounted with quotas: "quota user NAME on TARGET" {blocks_soft blocks_hard files_soft files_hard}."""
    items = {}
    if not system.which("repquota"):
        return items
    for mount in _mounttable.mounted(system):
        for flag, word in (("-u", "user"), ("-g", "group")):
            wanted = {"-u": ("usrquota", "quota", "uquota", "usrjquota"), "-g": ("grpquota", "gquota", "grpjquota")}[flag]
            if not any(o.split("=")[0] in wanted for o in mount["options"]):
                continue
            result = system.run(["repquota", flag, "-O", "csv", mount["target"]], timeout=60, check=False)
            if result.rc != 0:
                system.skip("quota on " + mount["target"], result.error or "repquota ended with %d" % result.rc)
                continue
            rows = [line.split(",") for line in result.text.splitlines()]
            for row in rows[1:]:
                entry = dict(zip(rows[0], row))
                limits = {
                    key: int(entry.get(column) or 0)
                    for key, column in (
                        ("blocks_soft", "BlockSoftLimit"),
                        ("blocks_hard", "BlockHardLimit"),
                        ("files_soft", "FileSoftLimit"),
                        ("files_hard", "FileHardLimit"),
                    )
                }
                if any(limits.values()):
                    items["quota %s %s on %s" % (word, escape(row[0]), mount["target"])] = limits
    return items
