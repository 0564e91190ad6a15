# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for cPanel's whmapi1, uapi, restorepkg, the scripts that make its maps again, and ps (facts/panels.md section 2).

Switches: api_refuses ("zero": metadata.result 0 at exit 0; "nonzero": the same at exit 1; "status": top-level status 0, as elevate#50 has it),
list_omits (account), busy (a backup runs), restore_loses_databases (account: exit 0, the module's failure is one line), restore_quiet (the same
without a word), restore_refused (exit 1), repair_fails (a script's name).
"""

from __future__ import annotations

import json
import os
import re
import sys
import tarfile

from stand_ins import mysql_server
from stand_ins.cpanel.host import maps, users
from stand_ins.machine import Machine


def cpanel(root, arguments):
    """The version, as `cpanel -V` tells it."""
    print("122.0 (build 17)")
    return 0


def ps(root, arguments):
    """The machine's processes: number and arguments."""
    machine = Machine(root)
    machine.note("ps", arguments)
    print("    1 /usr/lib/systemd/systemd")
    if machine.hit("busy", "server"):
        print(" 4711 /usr/local/cpanel/3rdparty/bin/perl /usr/local/cpanel/bin/backup --force")
    return 0


def whmapi1(root, arguments):
    """whmapi1 --output=json FUNCTION."""
    machine = Machine(root)
    machine.note("whmapi1", arguments)
    function = next(a for a in arguments if not a.startswith("-"))
    refuses = machine.document("switches").get("api_refuses")
    if refuses == "status":
        print(json.dumps({"status": 0, "statusmsg": "Permission Denied: %s" % function}))
        return 0
    if refuses:
        reason = "The license file is not valid for this server"
        print(json.dumps({"data": {}, "metadata": {"command": function, "reason": reason, "result": 0, "version": 1}}))
        return 0 if refuses == "zero" else 1
    data = {}
    if function == "listaccts":
        entries = []
        for user in users(machine):
            found = dict(line.split("=", 1) for line in machine.read("/var/cpanel/users/%s" % user).splitlines() if "=" in line)
            if not machine.hit("list_omits", user):
                entries.append({"user": user, "domain": found["DNS"], "plan": found["PLAN"], "suspended": 0})
        data = {"acct": entries}
    elif function == "version":
        data = {"version": "11.122.0.17"}
    print(json.dumps({"data": data, "metadata": {"command": function, "reason": "OK", "result": 1, "version": 1}}))
    return 0


def uapi(root, arguments):
    """uapi --output=json --user=U MODULE FUNCTION."""
    machine = Machine(root)
    machine.note("uapi", arguments)
    user = next(a for a in arguments if a.startswith("--user=")).partition("=")[2]
    text = machine.read("/var/cpanel/userdata/%s/main" % user)
    main = re.search(r"^main_domain: (.*)$", text, re.M)
    print(json.dumps({"result": {"status": 1, "errors": None, "data": {"main_domain": main.group(1) if main else ""}}}))
    return 0


def restorepkg(root, arguments):
    """restorepkg [options] FILE: the account's files and databases as the archive has them."""
    machine = Machine(root)
    machine.note("restorepkg", arguments)
    path = [a for a in arguments if not a.startswith("--")][-1]
    match = re.match(r"cpmove-(\w+)\.tar(\.gz)?\Z", os.path.basename(path))
    if not match or not os.path.exists(path):
        print("The archive “%s” could not be found" % path)
        return 1
    user = match.group(1)
    if machine.hit("restore_refused", user):
        print("You may not force Restricted Restore.")
        return 1
    if user in users(machine) and "--force" not in arguments and "--skipaccount" not in arguments:
        print("The account “%s” exists already." % user)
        return 1
    with tarfile.open(path) as archive:
        held = {m.name.partition("/")[2]: archive.extractfile(m).read() for m in archive if m.isfile()}
    print("Restoring the account “%s”." % user)
    _files(machine, user, held)
    rights = held.get("resellerconfig/resellers", b"").decode()
    if rights and "--allow_reseller" in arguments:
        others = [line for line in machine.read("/var/cpanel/resellers").splitlines(True) if not line.startswith(user + ":")]
        machine.write("/var/cpanel/resellers", "".join([*others, rights]))
    print("Restored the domains of “%s”." % user)
    if machine.hit("restore_quiet", user):
        pass
    elif machine.hit("restore_loses_databases", user):
        print("Mysql: the module failed: the system could not restore the databases of “%s”" % user)
    else:
        _databases(machine, user, held)
        print("Restored the databases of “%s”." % user)
    maps(machine)
    print("Account Restore Complete for “%s”" % user)
    return 0


def _files(machine, user, held):
    places = {
        "cp": "/var/cpanel/users/",
        "userdata": "/var/cpanel/userdata/%s/" % user,
        "va": "/etc/valiases/",
        "vad": "/etc/vdomainaliases/",
        "vf": "/etc/vfilters/",
    }
    places.update(dnszones="/var/named/", cron="/var/spool/cron/", mm="/usr/local/cpanel/3rdparty/mailman/lists/", homedir="/home/%s/" % user)
    for name, data in held.items():
        top, _slash, rest = name.partition("/")
        if top in places and rest:
            machine.write(places[top] + rest, data)
        elif top == "apache_tls" and rest:
            machine.write("/var/cpanel/ssl/apache_tls/%s/combined" % rest, data)
        elif name == "proftpdpasswd":
            machine.write("/etc/proftpd/%s" % user, data)
        elif name == "shadow":
            lines = [line for line in machine.read("/etc/shadow").splitlines() if not line.startswith(user + ":")]
            machine.write("/etc/shadow", "\n".join([*lines, "%s:%s:20000::::::" % (user, data.decode().strip())]) + "\n", 0o600)
    if not any(line.startswith(user + ":") for line in machine.read("/etc/passwd").splitlines()):
        machine.write("/etc/passwd", machine.read("/etc/passwd") + "%s:x:%d:%d::/home/%s:/bin/bash\n" % (user, os.getuid(), os.getgid(), user))
    machine.at("/home/%s" % user).mkdir(parents=True, exist_ok=True)


def _databases(machine, user, held):
    mapped = {"owner": user, "dbs": {}, "dbusers": {}, "noprefix": {}}
    grants = held.get("mysql.sql", b"").decode()
    for name, host, digest in re.findall(r"GRANT USAGE ON \*\.\* TO '([^']*)'@'([^']*)' IDENTIFIED BY PASSWORD '([^']*)'", grants):
        granted = [database.replace("\\_", "_") for database, who in re.findall(r"GRANT ALL PRIVILEGES ON `([^`]*)`\.\* TO '([^']*)'", grants) if who == name]
        mysql_server.grant(machine, name, host, digest, granted)
        mapped["dbusers"][name] = {"dbs": dict.fromkeys(granted, "localhost")}
    for name, data in sorted(held.items()):
        if name.startswith("mysql/") and name.endswith(".sql"):
            mapped["dbs"][name[6:-4]] = "localhost"
            mysql_server.loaded(machine, name[6:-4], data.decode())
    machine.write("/var/cpanel/databases/%s.json" % user, json.dumps({"MYSQL": mapped}), 0o640)


def _script(name, root, arguments):
    machine = Machine(root)
    machine.note(name, arguments)
    if machine.hit("repair_fails", name):
        print("%s: could not write /etc/userdomains" % name, file=sys.stderr)
        return 1
    maps(machine)
    return 0


def updateuserdomains(root, arguments):
    """The maps in /etc, made from /var/cpanel/users."""
    return _script("updateuserdomains", root, arguments)


def updateuserdatacache(root, arguments):
    """The caches of userdata."""
    return _script("updateuserdatacache", root, arguments)


def rebuildhttpdconf(root, arguments):
    """The web server's configuration."""
    return _script("rebuildhttpdconf", root, arguments)
