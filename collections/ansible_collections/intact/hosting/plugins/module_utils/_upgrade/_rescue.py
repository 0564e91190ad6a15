# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A second way in while sshd, the C library and PAM are replaced: a copy of the host's own sshd on a port of its own, for some addresses only."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import socket
import sys
import time

from ansible_collections.intact.hosting.plugins.module_utils._command import run as run_command
from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_document, read_if_exists, write_atomic, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _firewall_door, _host, _private_copy, _rescue_config, _rescue_try

UNIT = "intact-rescue-ssh.service"
DOOR = "intact-rescue-door.service"
UNITS = "/etc/systemd/system"
MEMORY = "rescue"
# Compiled into sshd, and gone whenever the host's own sshd is stopped. As long, and with the same end: a linker keeps the user's name in it.
PRIVSEP, OWN_PRIVSEP = "/run/sshd", "/var/sshd"
# Where the copy goes when the runner's directory is on a filesystem that starts no programs.
ELSEWHERE = "/usr/local/lib/intact-rescue-ssh"
WITHOUT = "; set distro_upgrade_rescue_ssh_port to 0 to go without a second way in"

SERVICE = """[Unit]
Description=Second way in during the upgrade of flight {flight}
After=network.target
StartLimitIntervalSec=0

[Service]
{environment}
ExecStart={place}/sshd -D -f {place}/config
# Who is in stays in when it ends.
KillMode=process
OOMScoreAdjust=-1000
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""

# A unit of its own: the copy's libraries are nothing for the host's Python, which is another one by then.
DOOR_SERVICE = """[Unit]
Description=Door in the firewall for the second way in during the upgrade of flight {flight}
After=network.target nftables.service netfilter-persistent.service ufw.service firewalld.service iptables.service ip6tables.service

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I -B {directory}/runner/door.py {place}

[Install]
WantedBy=multi-user.target
"""


def comment(flight):
    """What our rules in firewalls are known by."""
    return "intact-rescue-ssh:%s" % flight


def _place(host):
    """Where the copy goes: a directory that only root sees, on a filesystem that starts programs."""
    below = os.path.join(host.directory, "rescue")
    return ELSEWHERE if os.statvfs(host.directory).f_flag & os.ST_NOEXEC else below


def open_way(host, settings):
    """Open the second way in; returns a sentence, "" when none is wanted. Repeating it begins anew. StageFailure when it cannot be trusted."""
    wanted = settings.get("rescue_ssh") or {}
    port, user = int(wanted.get("port") or 0), wanted.get("keys_of") or "root"
    if not port:
        return ""
    allowed = _rescue_config.addresses(wanted.get("from") or [])
    sshd = which("sshd")
    why = "" if sshd else "there is no sshd on this host"
    if not allowed:
        why = why or "the controller's address is not known (no SSH connection); name it in distro_upgrade_rescue_ssh_from"
    if why:
        return _without(host, why)
    close_way(host)
    _refuse_taken(port)
    _privsep()
    flight = os.path.basename(host.directory)
    place = _place(host)
    # Before anything is made: a cut must not leave what nobody knows of.
    host.memory.remember(MEMORY, {"port": port, "from": allowed, "place": place, "flight": flight})
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place, mode=0o700)
    options = _copy(host, place, sshd, user, allowed[0])
    why = _rescue_config.obstacle(options, _shadow_of_root(), user)
    found = _keys(options, user) if not why else []
    if why or not found:
        close_way(host)
        return _without(host, why or _no_keys(options, user))
    write_atomic(os.path.join(place, "keys"), "".join(line + "\n" for line in found).encode("utf-8", "surrogateescape"))
    write_atomic(os.path.join(place, "config"), _rescue_config.text(options, port, allowed, place, user).encode())
    write_document(os.path.join(place, "door.json"), {"port": port, "from": allowed, "flight": flight})
    logged_in = _rescue_try.login(host, place, options, user)
    lines = "\n".join("Environment=%s=%s" % item for item in sorted(_private_copy.environment(place).items()))
    unit = SERVICE.format(flight=flight, directory=host.directory, place=place, environment=lines)
    write_atomic(os.path.join(UNITS, UNIT), unit.encode(), 0o644)
    write_atomic(os.path.join(UNITS, DOOR), DOOR_SERVICE.format(flight=flight, directory=host.directory, place=place).encode(), 0o644)
    host.systemctl("daemon-reload", check=False)
    # The door's own unit works at the next boot only: here it is set, and looked at, by the stage.
    host.systemctl("enable", UNIT, DOOR)
    host.systemctl("restart", UNIT)
    try:
        doors = _firewall_door.open_door(host.run, comment(flight), port, _bare(allowed))
    except IntactError as exc:
        raise _host.StageFailure("the door for the second way in cannot be set: %s" % exc, "let the firewall take the rule%s" % WITHOUT) from exc
    told = _rescue_try.answers(port)
    if not told:
        said = host.systemctl("status", "--no-pager", "--lines=5", UNIT, check=False).text.strip().splitlines()[-1:]
        raise _host.StageFailure("the second sshd does not answer on port %d: %s" % (port, "".join(said)), "read journalctl -u %s%s" % (UNIT, WITHOUT))
    return "port %d for %s, %d keys%s; %s, %s" % (port, ", ".join(allowed), len(found), ", a rule in %d chains" % len(doors) if doors else "", logged_in, told)


def _bare(allowed):
    return [_rescue_config.without_zone(address) for address in allowed]


def _without(host, why):
    """Go on without one, and say so where the report shows it."""
    host.memory.journal("note", text="no second way in: %s" % why)
    return "no second way in: %s" % why


def _refuse_taken(port):
    """Refuse a port on which somebody else listens."""
    for family, any_address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
        try:
            with socket.socket(family) as asked:
                asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    asked.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                asked.bind((any_address, port))
                asked.listen(1)
        except OSError as exc:
            if exc.errno in (errno.EADDRINUSE, errno.EACCES):
                raise _host.StageFailure(
                    "port %d, which the second sshd is to have, is taken (ss -ltnp 'sport = :%d' says by whom)" % (port, port),
                    "name a free port in distro_upgrade_rescue_ssh_port, then start the upgrade again",
                ) from exc


def _privsep():
    """The empty directory that the copy locks unprivileged processes into, which outlives a reboot and a stop of the host's own sshd."""
    try:
        os.mkdir(OWN_PRIVSEP, 0o755)
    except FileExistsError:
        facts = os.lstat(OWN_PRIVSEP)
        if not os.path.isdir(OWN_PRIVSEP) or os.path.islink(OWN_PRIVSEP) or facts.st_uid or os.listdir(OWN_PRIVSEP):
            raise _host.StageFailure("%s is there and is no empty directory of root's" % OWN_PRIVSEP, "move it away%s" % WITHOUT) from None
    os.chmod(OWN_PRIVSEP, 0o755)


def _copy(host, place, sshd, user, address):
    """Make the copy; returns what the host's configuration means for a user from an address (see _rescue_config.effective)."""
    replace = [(PRIVSEP.encode() + b"\0", OWN_PRIVSEP.encode() + b"\0")]
    _private_copy.make(host.run, place, {"sshd": os.path.realpath(sshd)}, replace)
    bare = _rescue_config.without_zone(address).partition("/")[0]
    words = [os.path.join(place, "sshd"), "-T", "-C", "user=%s,host=%s,addr=%s" % (user, bare, bare)]
    said = host.run(words, check=False, env=_private_copy.environment(place))
    if said.rc != 0:
        raise _host.StageFailure("sshd does not take its own configuration: %s" % (said.error.splitlines() or [""])[-1], "correct it (sshd -t)%s" % WITHOUT)
    options = _rescue_config.effective(said.text)
    more = [options[name][0] for name in ("sshdsessionpath", "sshdauthpath") if options.get(name)]
    if more:
        _private_copy.make(host.run, place, {os.path.basename(path): path for path in more}, replace)
    return options


def _shadow_of_root():
    lines = (read_if_exists("/etc/shadow") or b"").decode("utf-8", "replace").splitlines()
    return next((line for line in lines if line.startswith("root:")), "root:*")


def _keys(options, user):
    """Lines of the keys that are allowed now."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise _host.StageFailure("there is no user %s on this host" % user, "correct distro_upgrade_rescue_ssh_keys_of") from None
    out = []
    for path in _rescue_config.key_files(options, user, entry.pw_dir):
        data = _rescue_config.read_keys(path, entry.pw_uid)
        out += [line for line in _rescue_config.keys(data or b"", commands=user == "root") if line not in out]
    return out


def _no_keys(options, user):
    return "%s has no key in %s that sshd would take" % (user, " ".join(options.get("authorizedkeysfile") or ["AuthorizedKeysFile"]))


def close_way(host):
    """Close the second way in and take away all of it; who is logged in through it stays. Returns a sentence, "" when there was none."""
    known = host.memory.recall(MEMORY)
    if not known:
        return ""
    units = [name for name in (UNIT, DOOR) if os.path.lexists(os.path.join(UNITS, name))]
    if units:
        host.systemctl("disable", "--now", *units, check=False)
        for name in units:
            os.unlink(os.path.join(UNITS, name))
        fsync_directory(UNITS)
        host.systemctl("daemon-reload", check=False)
    doors = _firewall_door.close_door(host.run, comment(known["flight"]))
    shutil.rmtree(known["place"], ignore_errors=True)
    try:
        os.rmdir(OWN_PRIVSEP)
    except OSError as exc:
        if exc.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise
    host.memory.remember(MEMORY, None)
    return "the second way in is closed%s" % (", %d chains as they were" % len(doors) if doors else "")


def state(host):
    """{open, port, from, unit}: whether somebody listens, and what for."""
    known = host.memory.recall(MEMORY) or {}
    return {"open": bool(known) and _rescue_try.listens(known["port"]), "port": known.get("port", 0), "from": known.get("from", []), "unit": UNIT}


def watch(host):
    """Set right what somebody else's work took away meanwhile: rules, when a firewall was loaded anew, or the sshd. Returns a sentence or ""."""
    known, said = host.memory.recall(MEMORY), []
    if not known or not os.path.exists(os.path.join(UNITS, UNIT)):
        return ""
    try:
        opened = _firewall_door.open_door(host.run, comment(known["flight"]), known["port"], _bare(known["from"]))
        said += ["a rule for the second way in was gone from %s and is set again" % ", ".join(opened)] if opened else []
        if not _rescue_try.listens(known["port"]):
            host.systemctl("reset-failed", UNIT, check=False)
            host.systemctl("start", UNIT)
            said.append("the second sshd was away and is started again")
    except (IntactError, OSError, ValueError, KeyError, TypeError) as exc:
        # It is a way in besides the host's own: the upgrade goes on without it.
        said.append("the second way in may be closed: %s" % exc)
    return "; ".join(said)


def door_main(place):
    """Entry of the installed door.py, at each boot: firewalls are loaded anew then."""
    known = read_document(os.path.join(place, "door.json"))
    for _attempt in range(5):
        try:
            _firewall_door.open_door(run_command, comment(known["flight"]), known["port"], _bare(known["from"]))
            return 0
        except IntactError as exc:
            sys.stdout.write("the door could not be set: %s\n" % exc)
            sys.stdout.flush()
            time.sleep(2)
    return 1
