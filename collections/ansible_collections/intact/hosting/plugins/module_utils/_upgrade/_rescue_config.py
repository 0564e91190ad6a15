# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the second sshd may and may not: its configuration and its keys, told from what the host's own sshd does today. Pure, but for reading keys."""

from __future__ import annotations

import fnmatch
import ipaddress
import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Taken over as they are: what narrows who gets in, and how it is spoken.
KEPT = (
    "hostkey hostcertificate hostkeyagent trustedusercakeys authorizedprincipalsfile revokedkeys denyusers denygroups allowgroups "
    "pubkeyacceptedalgorithms pubkeyacceptedkeytypes casignaturealgorithms hostkeyalgorithms kexalgorithms ciphers macs "
    "requiredrsasize pubkeyauthoptions"
).split()
FIXED = """PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
UsePAM no
UseDNS no
StrictModes yes
PermitUserEnvironment no
PermitUserRC no
X11Forwarding no
AllowTcpForwarding no
AllowAgentForwarding no
PrintMotd no
PrintLastLog no
LoginGraceTime 60
PidFile none
Subsystem sftp internal-sftp
"""
KEY = re.compile(r"^(ssh-|ecdsa-|sk-)")


def effective(text):
    """{option: [values]} of what sshd -T says. Pure."""
    out = {}
    for line in text.splitlines():
        key, _space, value = line.strip().partition(" ")
        if key:
            out.setdefault(key.lower(), []).append(value)
    return out


def _one(options, key, default=""):
    return (options.get(key) or [default])[0]


def without_zone(address):
    """An address without the interface that a link-local one names. Pure."""
    return address.partition("%")[0]


def addresses(given):
    """The addresses and networks, normalised and each once; IntactError names one that is none. Pure."""
    out = []
    for text in given:
        bare, _percent, zone = str(text).strip().partition("%")
        try:
            network = ipaddress.ip_network(bare, strict=False)
        except ValueError:
            raise IntactError("%r is no IP address and no network: name numbers in distro_upgrade_rescue_ssh_from" % text) from None
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        if mapped and network.prefixlen == 128:
            network = ipaddress.ip_network(mapped)
        plain = str(network.network_address) if network.num_addresses == 1 else str(network)
        if network.prefixlen == 0:
            raise IntactError("%s is everybody: name the controller's address in distro_upgrade_rescue_ssh_from" % text)
        plain += "%" + zone if zone else ""
        if plain not in out:
            out.append(plain)
    return out


def obstacle(options, shadow, user="root"):
    """Why root does not get in with a key and nothing else today, or "". shadow: root's line of /etc/shadow. Pure.

    user: whose keys are named. Keys of another user are named by the operator, so that root's own rights are not asked.
    """
    password = (shadow.split(":") + [""])[1]
    if password.startswith("!"):
        return "root's account is locked, and an sshd without PAM lets nobody into such a one (usermod -p '*' root unlocks it without a password)"
    if _one(options, "pubkeyauthentication", "yes") != "yes":
        return "this host's sshd takes no keys (PubkeyAuthentication)"
    if user != "root":
        return ""
    if _one(options, "permitrootlogin") == "no":
        return "root may not log in here (PermitRootLogin no); distro_upgrade_rescue_ssh_keys_of names whose keys may instead"
    methods = _one(options, "authenticationmethods", "any").split()
    if methods and not {"any", "publickey"} & set(methods):
        return "root needs more than a key here (AuthenticationMethods %s)" % " ".join(methods)
    allowed = [word for value in options.get("allowusers", []) for word in value.split()]
    if allowed and not any(fnmatch.fnmatchcase("root", pattern.split("@")[0]) for pattern in allowed if not pattern.startswith("!")):
        return "root may not log in here (AllowUsers); distro_upgrade_rescue_ssh_keys_of names whose keys may instead"
    return ""


def text(options, port, allowed, place, user="root"):
    """The configuration of the second sshd. options: see effective(). allowed: see addresses(). Pure."""
    lines = ["# The second way in during an upgrade; goes with it.", "Port %d" % port]
    only = _one(options, "permitrootlogin")
    lines.append("PermitRootLogin %s" % (only if user == "root" and only == "forced-commands-only" else "prohibit-password"))
    lines.append("AllowUsers %s" % " ".join("root@%s" % address for address in allowed))
    lines.append("AuthorizedKeysFile %s" % os.path.join(place, "keys"))
    return "\n".join(lines) + "\n" + FIXED + kept(options, user) + programs(options, place)


def kept(options, user="root"):
    """The lines of today's configuration that hold for the second sshd too. Pure."""
    names = KEPT if user == "root" else [name for name in KEPT if name not in ("denyusers", "denygroups", "allowgroups")]
    out = ""
    for name in names:
        out += "".join("%s %s\n" % (name, value) for value in options.get(name, []) if value and value not in ("none", "default none"))
    return out


def programs(options, place):
    """Since OpenSSH 9.8 sshd starts other programs for a connection; here the copies of them. Pure."""
    names = [name for name in ("sshdsessionpath", "sshdauthpath") if _one(options, name)]
    return "".join("%s %s\n" % (name, os.path.join(place, os.path.basename(_one(options, name)))) for name in names)


def key_files(options, user, home):
    """Paths of the files with a user's keys. Pure."""
    out = []
    for word in _one(options, "authorizedkeysfile").split():
        if word == "none":
            continue
        path = re.sub(r"%(.)", lambda m: {"h": home, "u": user, "%": "%"}.get(m.group(1), m.group(0)), word)
        out.append(os.path.join(home, path))
    return out


def keys(data, commands=True):
    """Lines with a key in an authorized_keys file. commands: also those that only run one command. Pure."""
    out = []
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        options, rest = "", line
        if not KEY.match(line):
            match = re.match(r'((?:"(?:\\.|[^"\\])*"|[^\s"])+)\s+(.*)', line)
            if not match or not KEY.match(match.group(2)):
                continue
            options, rest = match.groups()
        if rest and (commands or not re.search(r"(^|,)\s*command=", re.sub(r'(?<!command)="(?:\\.|[^"\\])*"', "", options, flags=re.I), re.I)):
            out.append(line)
    return out


def read_keys(path, uid):
    """Bytes of a key file, or None: sshd's own rule is that nobody but its owner and root can write to it or to a directory above."""
    fd, parts = os.open("/", os.O_RDONLY | os.O_DIRECTORY), [part for part in os.path.realpath(path).split("/") if part]
    try:
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (0 if last else os.O_DIRECTORY), dir_fd=fd)
            os.close(fd)
            fd = inner
            facts = os.fstat(fd)
            if facts.st_uid not in (0, uid) or facts.st_mode & 0o022:
                return None
        if not parts or not stat.S_ISREG(facts.st_mode) or facts.st_size > 1 << 20:
            return None
        return os.read(fd, 1 << 20)
    except OSError:
        return None
    finally:
        os.close(fd)
