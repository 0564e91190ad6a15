# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Does the target release's sshd let the same people in as today's: settings, directives that went, types of keys (PF30)."""

from __future__ import annotations

import base64
import binascii
import re
import struct

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _targetroot, targets

ASK = ["/usr/sbin/sshd", "-T", "-C", "user=root,host=localhost,addr=127.0.0.1"]
CONFIG = "/etc/ssh/sshd_config"
# What root's way in depends on; the rest may have other defaults.
DECIDING = (
    "permitrootlogin pubkeyauthentication authorizedkeysfile authorizedkeyscommand allowusers allowgroups denyusers denygroups port listenaddress "
    "authenticationmethods strictmodes"
).split()
ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
KEY = re.compile(r"(?:^|\s)((?:ssh|ecdsa|sk)-[\w@.-]+)\s+(AAAA[\w+/]+=*)")
GROUPS = ("sudo", "wheel", "admin")
LIMIT = 1 << 20


def parse_effective(text):
    """{keyword: [values]} of `sshd -T`, in lower case as sshd prints them. Pure."""
    out = {}
    for line in text.splitlines():
        word, _blank, value = line.strip().partition(" ")
        if word:
            out.setdefault(word.lower(), []).append(value.strip())
    return out


def accepted(settings):
    """The algorithms that sshd takes from a public key. Pure."""
    for name in ("pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"):
        if settings.get(name):
            return set(settings[name][0].split(","))
    return set()


def rsa_bits(blob):
    """Size of an RSA key by its base64 text, None for one that can't be read. Pure."""
    try:
        data, parts = base64.b64decode(blob + "=" * (-len(blob) % 4)), []
        while data and len(parts) < 3:
            (size,) = struct.unpack(">I", data[:4])
            parts.append(data[4 : 4 + size])
            data = data[4 + size :]
        return int.from_bytes(parts[2], "big").bit_length()
    except (binascii.Error, ValueError, IndexError, struct.error):
        return None


def parse_keys(text):
    """[(line number, type, bits of an RSA key or None)] of an authorized_keys file; nothing else of it is kept. Pure."""
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        found = KEY.search(line)
        if found and not line.lstrip().startswith("#"):
            out.append((number, found.group(1), rsa_bits(found.group(2)) if found.group(1) == "ssh-rsa" else None))
    return out


def usable(kind, bits, algorithms, smallest):
    """Whether sshd with these algorithms and this smallest RSA key takes a key. Pure."""
    if bits is not None and bits < smallest:
        return False
    return not algorithms or any(name in algorithms for name in ALGORITHMS.get(kind, (kind,)))


def accounts(context):
    """[(name, home)] of root and of those who may become root by their group."""
    host = context.host
    rows = [line.split(":") for line in host.text("/etc/passwd").splitlines() if line.count(":") >= 6]
    members, numbers = {"root"}, set()
    for line in host.text("/etc/group").splitlines():
        parts = line.split(":")
        if len(parts) > 3 and parts[0] in GROUPS:
            members.update(parts[3].split(","))
            numbers.add(parts[2])
    return [(row[0], row[5]) for row in rows if (row[0] in members or row[3] in numbers) and not row[6].endswith(("nologin", "false"))]


def files_of(name, home, settings):
    """Paths of an account's authorized_keys by sshd's own setting. Pure."""
    out = []
    for word in (settings.get("authorizedkeysfile") or [".ssh/authorized_keys"])[0].split():
        path = word.replace("%%", "\0").replace("%h", home).replace("%u", name).replace("\0", "%")
        if path != "none":
            out.append(path if path.startswith("/") else home.rstrip("/") + "/" + path)
    return out


def login(context):
    """PF30: who gets in today gets in by the target's sshd."""
    host = context.host
    if not context.installed("openssh-server"):
        return []
    asked = host.run(ASK, check=False)
    if asked.rc != 0:
        remedy = "sshd -T should show its settings; correct what it says, then run check-host again"
        return [Finding("access.sshd.unread", "warning", "sshd", "today's sshd does not tell its settings", asked.error[-300:], remedy)]
    now = parse_effective(asked.text)
    rules = context.release_path.get("sshd") or {}
    found, then = _there(context, now)
    found += _directives(host, rules)
    refused = {str(entry["type"]) for entry in rules.get("refused_keys") or []}
    later = accepted(then) if then else {name for name in accepted(now) if name not in refused}
    smallest = [int((held.get("requiredrsasize") or [0])[0]) for held in (now, then)]
    smallest[1] = max(smallest[1], 0 if then else int(rules.get("smallest_rsa") or 0))
    found += _keys(context, now, accepted(now), later, smallest, rules)
    found += _host_keys(context, now, refused, rules)
    tries = int((now.get("maxauthtries") or ["6"])[0])
    if tries < 3:
        remedy = "try ssh with only the one key (IdentitiesOnly yes) before the upgrade"
        found.append(
            Finding("access.sshd.tries", "info", "sshd", "few attempts at a login: an agent with more keys is turned away", "MaxAuthTries %d" % tries, remedy)
        )
    return found


def _there(context, now):
    """(findings, settings of the target's sshd over the configuration that it would find, {} when it was not asked)."""
    chosen = targets.daemons(context)
    if not any(daemon.name == "sshd" for daemon, _versions in chosen):
        return [], {}
    # names in ListenAddress and Match need the resolver; -T binds nothing
    order = {"name": "sshd", "argv": ASK, "network": True, "seconds": targets.SECONDS}
    try:
        (answer,), _fresh = _targetroot.ask(context, targets.root(context, chosen), [order], context.options.get("target_files") or "")
    except IntactError as exc:
        title = "nobody could ask the target's sshd who gets in"
        remedy = "clear PF41's finding; the types of keys were judged by the release path alone"
        return [Finding("access.sshd.target.unasked", "warning", "sshd", title, str(exc), remedy)], {}
    if answer["rc"] != 0:
        if context.once("broken there", dict).get("sshd"):
            return [], {}
        title = "the target's sshd refuses the configuration that it would find: nobody would get in"
        remedy = "take out what it names, or put a corrected file into the target files, and run check-host again"
        return [Finding("access.sshd.target.refused", "blocker", CONFIG, title, targets.telling(answer["err"]), remedy)], {}
    then, found = parse_effective(answer["out"]), []
    for name in DECIDING:
        if sorted(now.get(name) or []) != sorted(then.get(name) or []):
            evidence = "today: %s; at the target: %s" % (", ".join(now.get(name) or ["(none)"]), ", ".join(then.get(name) or ["(none)"]))
            remedy = "write the setting out in /etc/ssh/sshd_config.d/, so that no default decides"
            title = "the target's sshd reads this setting otherwise, and root's way in depends on it"
            found.append(Finding("access.sshd.changed", "blocker", name, title, evidence, remedy))
    return found, then


def _directives(host, rules):
    """Directives in sshd's files that the target does not know."""
    gone = {str(entry["name"]).lower(): entry for entry in rules.get("removed_directives") or []}
    found = []
    for path in [CONFIG] + host.glob("/etc/ssh/sshd_config.d/*.conf"):
        for number, line in enumerate(host.text(path).splitlines(), 1):
            word = (re.split(r"[\s=]", line.strip(), maxsplit=1) or [""])[0].lower()
            if word in gone:
                entry, where = gone[word], "%s:%d" % (path, number)
                severity = "blocker" if entry.get("fatal", True) else "warning"
                title = "the target's sshd has no such directive: %s" % entry["name"]
                found.append(Finding("access.sshd.directive", severity, where, title, str(entry["reason"]), "take the line out"))
    return found


def _keys(context, now, today, later, smallest, rules):
    """Keys that work today and won't then, of root and of who may become root."""
    found = []
    reasons = {str(entry["type"]): str(entry["reason"]) for entry in rules.get("refused_keys") or []}
    if now.get("pubkeyauthentication") == ["no"]:
        return []
    for name, home in accounts(context):
        if name == "root" and now.get("permitrootlogin") == ["no"]:
            continue
        held = []
        for path in files_of(name, home, now):
            try:
                data = context.host.read(path, LIMIT)
            except OSError:
                continue
            held += [(path,) + row for row in parse_keys((data or b"").decode("utf-8", "replace"))]
        works = [row for row in held if usable(row[2], row[3], today, smallest[0])]
        lost = [row for row in works if not usable(row[2], row[3], later, smallest[1])]
        if not lost:
            continue
        last = len(lost) == len(works)
        told = ", ".join("%s:%d %s%s" % (path, number, kind, " %d bits" % bits if bits else "") for path, number, kind, bits in lost[:4])
        why = next((reasons[row[2]] for row in lost if row[2] in reasons), "the target's sshd does not accept them")
        title = "the target's sshd refuses %s of this account's keys" % ("all" if last else "%d of %d" % (len(lost), len(works)))
        remedy = "ssh-keygen -t ed25519, add its public half to %s, and log in with it before the upgrade" % lost[0][0]
        blocks = last and (name == "root" or not _other_way(now))
        found.append(Finding("access.sshd.keys", "blocker" if blocks else "warning", name, title, "%s; %s" % (told, why), remedy))
    return found


def _other_way(now):
    """Whether passwords are taken too: then a lost key is no lost way in."""
    return "yes" in (now.get("passwordauthentication") or [])


def _host_keys(context, now, refused, rules):
    kinds = {}
    for path in now.get("hostkey") or []:
        words = context.host.text(path + ".pub").split()
        if words:
            kinds[path] = words[0]
    bad = sorted(path for path, kind in kinds.items() if kind in refused)
    if not bad:
        return []
    reason = next(str(entry["reason"]) for entry in rules["refused_keys"] if str(entry["type"]) == kinds[bad[0]])
    title = "the target's sshd does not load this host key" + (", and there is no other" if len(bad) == len(kinds) else "")
    remedy = "ssh-keygen -A, and take the HostKey line out; who pinned this key must be told"
    severity = "blocker" if len(bad) == len(kinds) else "warning"
    return [Finding("access.sshd.hostkey", severity, ", ".join(bad), title, reason, remedy)]
