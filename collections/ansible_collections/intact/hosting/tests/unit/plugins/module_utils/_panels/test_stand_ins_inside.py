# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in's program does the same in a test's own process as in one of its own: status, both streams, and nothing that stays behind."""

from __future__ import annotations

import os
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit

from stand_ins import hestiacp  # isort: skip (found by stand_in_fixture)

BIN = "/usr/local/hestia/bin/"


@pytest.fixture
def host(tmp_path):
    hestiacp.install(str(tmp_path))
    kit.put(tmp_path, "/usr/bin/odd", ODD, 0o755)
    return tmp_path


ODD = (
    """#!%s -S
# A stand-in of a program that does what one may do.
import os
import sys

word, rest = sys.argv[1], sys.argv[2:]
if word == "raise":
    raise ValueError("it is broken")
if word == "become":
    os.execvp("cat", ["cat", *rest])
if word == "exit":
    sys.exit("a sentence")
print("\\udcff", os.environ.get("GIVEN"), os.environ["LC_ALL"], sys.stdin.buffer.read())
sys.path.append("/left/behind")
os.environ["LEFT"] = "behind"
sys.exit(300)
"""
    % sys.executable
)


@pytest.mark.parametrize(
    ("argv", "stdin", "env"),
    [
        ([BIN + "v-list-users", "json"], b"", None),
        ([BIN + "v-list-web-domains", "alice", "json"], b"", None),
        ([BIN + "v-list-web-domains", "nobody"], b"", None),
        (["mysql", "--user=root"], b"SELECT 1;\n", {"MYSQL_PWD": hestiacp.SECRETS["root"]}),
        (["mysql", "--user=root"], b"SELECT 1;\n", {"MYSQL_PWD": "another"}),
        (["odd", "say"], b"given\xff", {"GIVEN": "this"}),
        (["odd", "exit"], b"", None),
        (["odd", "become"], b"and goes on", None),
        (["odd", "become", "/not/there"], b"", None),
    ],
)
def test_both_ways_are_the_same(host, argv, stdin, env):
    before, told = (list(sys.path), dict(os.environ), sys.argv, sys.stdout), []
    for apart in (True, False):
        stage = Stage(host)
        stage.apart = apart
        result = stage.run(argv, stdin=stdin, env=env, check=False)
        told.append((result.rc, result.out, result.err))
    assert told[0] == told[1] and (list(sys.path), dict(os.environ), sys.argv, sys.stdout) == before


@pytest.mark.parametrize("apart", [True, False])
def test_a_program_that_breaks_is_the_stand_ins_own_fault(host, apart):
    stage = Stage(host)
    stage.apart = apart
    with pytest.raises(AssertionError, match="ValueError: it is broken"):
        stage.run(["odd", "raise"], check=False)
    with pytest.raises(IntactError, match="ended with status 1: a sentence"):
        stage.run(["odd", "exit"])
    with pytest.raises(IntactError, match="not installed"):
        stage.run(["another"])
