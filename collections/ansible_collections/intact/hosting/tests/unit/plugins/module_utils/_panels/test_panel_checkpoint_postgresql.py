# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A checkpoint of a database in PostgreSQL is read back by a private server, which knows the roles that own what is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _throwaway_postgresql, postgresql
from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import Statements
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _checkpoint
from ansible_collections.intact.hosting.plugins.module_utils._system import System

NAME = "postgresql:app"
FILL = """CREATE ROLE app LOGIN PASSWORD 'planted'; CREATE ROLE reader; CREATE DATABASE app OWNER app;
\\c app
SET ROLE app;
CREATE TABLE people (id serial PRIMARY KEY, name text);
GRANT SELECT ON people TO reader;
INSERT INTO people (name) VALUES ('ann'), ('bob');
"""

pytestmark = [
    pytest.mark.skipif(_throwaway_postgresql.newest() is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="private servers run as users of their own: root makes them"),
]


@pytest.fixture
def top():
    # tmp_path is closed to the server's user
    path = tempfile.mkdtemp(prefix="intact-postgresql-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def kept(top, monkeypatch):
    """(document, directory) of a checkpoint's database; the roles' statements are those of the server that it came from."""
    with _throwaway_postgresql.PostgreSQL(top + "/host") as host:
        done = subprocess.run(host._argv("-v", "ON_ERROR_STOP=1", "-d", "template1"), input=FILL, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        items = host.section(NAME)
        login = ["-h", host.sockets, "-p", _throwaway_postgresql.PORT, "-U", _throwaway_postgresql.ADMIN]
        dump, roles = (
            subprocess.run([os.path.join(host._programs, program), *login, *words], capture_output=True, check=True).stdout
            for program, words in (("pg_dump", ["--create", "-d", "app"]), ("pg_dumpall", ["--globals-only"]))
        )
    with open(top + "/database", "wb") as handle:
        handle.write(dump)
    monkeypatch.setattr(postgresql, "accounts", lambda _view: [Statements("postgresql accounts", "", roles, postgresql.ACCOUNTS_ENDING, {})])
    return {"databases": [{"name": NAME, "file": "database", "items": items, "rules": [], "damaged": ""}]}, top


def test_a_dump_whose_owner_is_a_role_of_the_host_reads_back_as_it_was(kept):
    document, top = kept
    assert document["databases"][0]["items"][NAME]["owner"] == "app"
    _checkpoint._load(System(), document, top, top + "/drill")
    assert not os.path.exists(top + "/drill")


def test_a_dump_that_lost_rows_does_not(kept):
    document, top = kept
    with open(top + "/database", "rb") as handle:
        text = handle.read()
    with open(top + "/database", "wb") as handle:
        handle.write(text.replace(b"2\tbob\n", b""))
    with pytest.raises(IntactError, match=r"its dump, read back, differs: postgresql:app\.public\.people"):
        _checkpoint._load(System(), document, top, top + "/drill")
