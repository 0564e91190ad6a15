# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL dumps as the programs write them: whole or cut, and the rows of each table, whatever is in the strings."""

from __future__ import annotations

import sqlite3

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _dumps

MYSQL = rb"""-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
CREATE TABLE `clients` (
  `id` int NOT NULL
);
INSERT INTO `clients` VALUES (1,'a;b),(c'),(2,'it\'s\\'),(3,"x'y");
CREATE TABLE `empty` (
  `id` int
);
-- Dump completed on 2026-11-22 10:00:00
"""
# MariaDB's newer layout, two databases, and the comment that stands before all.
MARIADB = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB
USE `psa`;
CREATE TABLE `domains` (
);
INSERT INTO `domains` VALUES
(1,'example.com'),
(2,'line
break');
DELIMITER ;;
CREATE TRIGGER x BEFORE INSERT ON domains FOR EACH ROW
INSERT INTO log VALUES (1);;
DELIMITER ;
USE `horde`;
CREATE TABLE `domains` (
);
-- Dump completed on 2026-11-22
"""
POSTGRESQL = rb"""--
-- PostgreSQL database dump
--
\restrict abc
CREATE FUNCTION public.f() RETURNS void
    AS $$
INSERT INTO mailbox SELECT 1
$$;
CREATE TABLE public.mailbox (
    username text
);
COPY public.mailbox (username) FROM stdin;
ann@example.com
bob\\.
\.
INSERT INTO other.t VALUES ('C:\'), ('x');
--
-- PostgreSQL database dump complete
--

\unrestrict abc

"""


def scan(data, size=None):
    scanner = _dumps.Scan()
    for start in range(0, len(data), size or max(len(data), 1)):
        scanner.feed(data[start : start + (size or len(data))])
    return scanner.result()


@pytest.mark.parametrize(
    "data, server, tables",
    [
        (MYSQL, "mysql", {"clients": 3, "empty": 0}),
        (MARIADB, "mariadb", {"psa.domains": 2, "horde.domains": 0}),
        (POSTGRESQL, "postgresql", {"mailbox": 2, "other.t": 2}),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 7])
def test_a_whole_dump_tells_its_tables_and_rows_in_whatever_pieces_it_comes(data, server, tables, size):
    told = scan(data, size)
    assert told == {"whole": True, "why": "", "tables": tables, "bytes": len(data), "server": server}


@pytest.mark.parametrize("data", [MYSQL, MARIADB, POSTGRESQL])
def test_a_dump_that_is_cut_anywhere_is_not_whole(data):
    last = data.rindex(b"complete") if b"dump complete" in data else data.rindex(b"-- Dump completed")
    for length in range(last):
        assert not scan(data[:length])["whole"], length


@pytest.mark.parametrize(
    "data, why",
    [
        (b"", "empty"),
        (MYSQL.replace(b"-- Dump completed on 2026-11-22 10:00:00\n", b""), "last line"),
        (MYSQL + b"\0\0\0\n", "last line"),
        (MYSQL.replace(b"CREATE TABLE `empty`", b"mysqldump: Couldn't execute 'SHOW FIELDS': gone (2006)\nCREATE TABLE `e`"), "complains"),
        (MYSQL[: MYSQL.index(b"),(3")], "middle of table clients"),
        (b"-- MySQL dump 10.13\n-- Dump completed", ""),
    ],
)
def test_why_it_is_not_whole(data, why):
    told = scan(data)
    assert told["whole"] == (not why) and why in told["why"]


def test_a_dump_of_sqlites_own():
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE alias (a, b); INSERT INTO alias VALUES ('x(1)', 'it''s;'), (char(10), 2);")
    data = "\n".join(["PRAGMA foreign_keys=OFF;"] + list(connection.iterdump())).encode()
    assert scan(data)["tables"] == {"alias": 2} and scan(data)["whole"] and scan(data)["server"] == "sqlite"
    assert not scan(data.replace(b"COMMIT;", b"ROLLBACK; -- due to errors"))["whole"]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(_dumps, "LONGEST", 1000)
    assert "longer than" in scan(b"-- MySQL dump\n" + b"x" * 5000 + b"\n-- Dump completed\n", 100)["why"]
