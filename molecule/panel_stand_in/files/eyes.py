#!/usr/bin/python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another pair of eyes than the project's: the database server's tables and accounts by its own digests, and every file of some trees. eyes.py DIRECTORY..."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys

SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


def sql(text):
    done = subprocess.run(["/usr/bin/mariadb", "--batch", "--skip-column-names"], input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode()


def server():
    out = {"tables": {}}
    for line in sql("SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'").splitlines():
        schema, table = line.split("\t")
        if schema not in SYSTEM:
            out["tables"]["%s.%s" % (schema, table)] = sql("CHECKSUM TABLE `%s`.`%s` EXTENDED" % (schema, table)).split("\t")[1].strip()
    out["databases"] = sql("SHOW DATABASES").split()
    # by digests, as they hold passwords
    out["accounts"] = [hashlib.sha256(line.encode()).hexdigest() for line in sql("SELECT * FROM mysql.global_priv ORDER BY 1, 2").splitlines()]
    return out


def files(top):
    out = {}
    for folder, folders, names in os.walk(top):
        # what brought this program here
        folders[:] = sorted(name for name in folders if not name.startswith("ansible_"))
        for path in [os.path.join(folder, name) for name in folders + names]:
            state = os.lstat(path)
            told = [state.st_mode, state.st_uid, state.st_gid]
            if stat.S_ISREG(state.st_mode):
                with open(path, "rb") as handle:
                    told += [state.st_size, state.st_mtime_ns, hashlib.sha256(handle.read()).hexdigest()]
            out[path] = told
    return out


if __name__ == "__main__":
    json.dump(dict(server(), files={path: told for top in sys.argv[1:] for path, told in files(top).items()}), sys.stdout, sort_keys=True)
