# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB and PostgreSQL: servers' configuration, customers' databases, users and grants."""

from __future__ import annotations

import glob

import mariadb_data
import postgresql_data

import lab

PG_HBA = "# customers' programs and the lab's observer\nhost    all    all    all    scram-sha-256\n"


def mariadb(sql: str, *options: str) -> str:
    return lab.run("mariadb", "--batch", "--skip-column-names", "--default-character-set=utf8mb4", *options, data=sql)


def fill_mariadb() -> None:
    fresh = lab.place("etc/mysql/mariadb.conf.d/60-hosting.cnf")
    lab.service("mariadb.service", restart=fresh)
    lab.wait("MariaDB", lambda: lab.succeeds("mariadb-admin", "ping"))
    have = mariadb("SHOW DATABASES").split()
    for name, script in (("hilltop_shop", mariadb_data.shop), ("harbour_club", mariadb_data.club)):
        if name not in have:
            mariadb("".join(script()))
            lab.changed(f"MariaDB database {name}")
    if "northwind_wp" not in have:
        mariadb("CREATE DATABASE northwind_wp CHARACTER SET utf8mb4; " + mariadb_data.GRANTS)
        lab.changed("MariaDB users and grants")


def postgres(sql: str, database: str = "postgres") -> str:
    argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database]
    return lab.run(*argv, data=sql)


def fill_postgresql() -> None:
    base = sorted(glob.glob("/etc/postgresql/*/main"))[0]
    version = base.split("/")[3]
    fresh = lab.put(f"{base}/conf.d/60-hosting.conf", "listen_addresses = '*'\nmax_connections = 60\n")
    with open(f"{base}/pg_hba.conf", encoding="utf-8") as rules:
        text = rules.read()
    if PG_HBA not in text:
        lab.put(f"{base}/pg_hba.conf", text + PG_HBA, 0o640, "postgres:postgres")
        fresh = True
    lab.service("postgresql.service")
    lab.service(f"postgresql@{version}-main.service", restart=fresh)
    lab.wait("PostgreSQL", lambda: lab.succeeds("pg_isready", "-q"))
    if "northwind_crm" in postgres("SELECT datname FROM pg_database").split():
        return
    postgres("CREATE ROLE northwind_crm LOGIN PASSWORD 'lab-northwind_crm'; CREATE ROLE probe LOGIN PASSWORD 'lab-probe'")
    postgres("CREATE DATABASE northwind_crm OWNER northwind_crm")
    postgres("".join(postgresql_data.crm()), "northwind_crm")
    lab.changed("PostgreSQL database northwind_crm")


def main() -> None:
    fill_mariadb()
    fill_postgresql()


if __name__ == "__main__":
    main()
