# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows in a dump, as they pass by: quoting, NULL, hexadecimal, columns that are named or not, statements over many lines, and what can't be read."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels._dump_rows import Rows

HEAD = b"-- MariaDB dump 10.19\n"
END = b"\n-- Dump completed on 2026-11-22\n"
MAKE = b"CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  `name` text DEFAULT NULL,\n  `raw` blob,\n  PRIMARY KEY (`id`),\n  KEY `n` (`name`)\n) ENGINE=x;\n"
WANTED = {"t": ("id", "name", "raw")}


def read(data, wanted=None, step=None):
    rows = Rows(wanted or WANTED)
    for start in range(0, len(data), step or len(data)):
        rows.feed(data[start : start + (step or len(data))])
    return rows.result()


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_rows_of_all_kinds(step):
    values = b"(1,'it\\'s ''quoted''; (a) \\\\ \\n\\t','x'),(-2,NULL,0x6162),(3,'',_binary 'y')"
    said = read(HEAD + MAKE + b"INSERT INTO `t` VALUES " + values + b";\nUNLOCK TABLES;" + END, step=step)
    assert said["rows"] == {
        "t": [
            {"id": "1", "name": "it's 'quoted'; (a) \\ \n\t", "raw": "x"},
            {"id": "-2", "name": "", "raw": "ab"},
            {"id": "3", "name": "", "raw": "y"},
        ]
    }
    assert said["whole"] and said["unreadable"] == [] and said["tables"] == {"t": 3}


def test_named_columns_in_another_order_and_rows_on_lines_of_their_own():
    said = read(HEAD + MAKE + b"INSERT INTO `t` (`name`,`id`) VALUES\n('a',1),\n('b',2);\nINSERT INTO `t` (`name`,`id`) VALUES ('c',3);\n" + END)
    assert said["rows"]["t"] == [{"name": "a", "id": "1"}, {"name": "b", "id": "2"}, {"name": "c", "id": "3"}]


def test_only_wanted_tables_and_columns():
    other = b"INSERT INTO `secrets` VALUES (1,'INSERT INTO `t` VALUES (9,9,9);');\n"
    said = read(HEAD + MAKE + other + b"INSERT INTO `t` VALUES (1,'a','b');\n" + END, {"t": ("id",), "gone": ("id",)})
    assert said["rows"] == {"t": [{"id": "1"}]}


def test_a_table_without_rows_is_there():
    assert read(HEAD + MAKE + END)["rows"] == {"t": []}


def test_bytes_that_are_no_text_survive():
    assert read(HEAD + MAKE + b"INSERT INTO `t` VALUES (1,'\xff',0xff);\n" + END)["rows"]["t"][0] == {"id": "1", "name": "\udcff", "raw": "\udcff"}


@pytest.mark.parametrize("line", [b"(1,'a');\n", b"(1,'a','b'\n", b"1,2,3;\n", b"(1,'a','b');)\n(2,'unended,'c');\n"])
def test_what_can_not_be_read_is_told(line):
    said = read(HEAD + MAKE + b"INSERT INTO `t` VALUES " + line + END)
    assert said["unreadable"] == ["t"] or not said["whole"] or said["rows"]["t"] == [{"id": "1", "name": "a", "raw": "b"}]


def test_a_row_with_too_few_values_is_not_taken_for_another():
    said = read(HEAD + MAKE + b"INSERT INTO `t` VALUES (1,'a'),(2,'b','c');\n" + END)
    assert said["unreadable"] == ["t"] and said["rows"]["t"] == []


@pytest.mark.skipif(not shutil.which("mysqldump"), reason="mysqldump is not installed here: its help tells whether options that drivers use are known")
def test_the_options_of_our_dumps_are_known_to_the_program():
    told = subprocess.run(["mysqldump", "--no-defaults", "--help"], capture_output=True, text=True, check=False).stdout
    for option in ("complete-insert", "hex-blob", "single-transaction", "no-tablespaces", "result-file", "routines", "events"):
        assert "--" + option in told
