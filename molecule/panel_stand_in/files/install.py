#!/usr/bin/python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a stand-in of a panel on this host, beside its real MariaDB. install.py plesk SEED | plesk_old SEED | hestiacp

/root/planted.json gets the secrets that nobody may see.
"""

from __future__ import annotations

import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "/opt/lab/tests")

from stand_ins import hestiacp, kit, plesk, plesk_old  # noqa: E402 (found by the line above)
from stand_ins.mariadb import running  # noqa: E402 (found by the line above)

# root is let in by who he is, so no password is in it
SERVER = "/stand-in/server.cnf"


def of_plesk(package, seed):
    # the panel's own dumps are no help in any of these cases
    kit.switch("", "corrupt-daily")
    world = package.install("", seed, server=SERVER)
    account = "CREATE USER 'admin'@'localhost' IDENTIFIED BY %s;\n" % running.literal(world.shadow)
    running.run("", account + "GRANT ALL ON *.* TO 'admin'@'localhost' WITH GRANT OPTION;\n")
    return world.secrets


def of_hestia():
    hestiacp.install("", server=SERVER)
    known = running.literal(hestiacp.SECRETS["root"])
    running.run("", "ALTER USER 'root'@'localhost' IDENTIFIED VIA mysql_native_password USING PASSWORD(%s) OR unix_socket;\n" % known)
    return hestiacp.SECRETS


def main():
    name = sys.argv[1]
    kit.put("", SERVER, "[client]\nuser=root\nsocket=/run/mysqld/mysqld.sock\n")
    kit.put("", "/stand-in/server", SERVER)
    planted = of_hestia() if name == "hestiacp" else of_plesk({"plesk": plesk, "plesk_old": plesk_old}[name], int(sys.argv[2]))
    fd = os.open("/root/planted.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as handle:
        json.dump(planted, handle)


if __name__ == "__main__":
    main()
