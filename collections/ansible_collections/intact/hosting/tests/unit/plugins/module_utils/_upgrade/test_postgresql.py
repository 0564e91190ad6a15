# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Debian's pg_upgradecluster leaves behind: drop-in settings, and materialised views that its load could not fill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _postgresql

OLD = {"version": "15", "name": "main", "port": "5432", "status": "online", "owner": "postgres"}


def test_clusters_are_read():
    text = "15 main 5432 online postgres /var/lib/postgresql/15/main /var/log/x\n17 main 5433 down,recovery postgres /d /l\n"
    assert [(c["version"], c["port"], c["status"]) for c in _postgresql.clusters(text)] == [("15", "5432", "online"), ("17", "5433", "down,recovery")]


class Host(_host.Host):
    """Runs what copies, and believes a restart unless told."""

    def __init__(self, place):
        self.told, self.kept, self.refuses = [], {}, False
        self.memory = SimpleNamespace(
            remember=self.kept.__setitem__, recall=self.kept.get, journal=lambda event, **more: self.told.append(more["text"]), progress=lambda *_words: None
        )
        super().__init__(str(place), str(place), self.memory)

    def systemctl(self, *words, **more):
        self.told.append(" ".join(words))
        if self.refuses and more.get("check", True):
            raise IntactError("unit failed")


@pytest.fixture
def etc(tmp_path):
    for version in ("15", "17"):
        (tmp_path / version / "main" / "conf.d").mkdir(parents=True)
    (tmp_path / "15/main/conf.d/listen.conf").write_text("listen_addresses = '*'\n")
    (tmp_path / "15/main/conf.d/both.conf").write_text("old\n")
    (tmp_path / "15/main/conf.d/notes.txt").write_text("no settings\n")
    (tmp_path / "17/main/conf.d/both.conf").write_text("new\n")
    return tmp_path


def test_drop_ins_come_along_once_and_nothing_is_overwritten(etc, tmp_path):
    host = Host(tmp_path)
    said = _postgresql._carry_drop_ins(host, OLD, "17", str(etc))
    assert len(said) == 1 and "listen.conf" in said[0] and "both.conf" not in said[0]
    assert sorted(os.listdir(etc / "17/main/conf.d")) == ["both.conf", "listen.conf"]
    assert (etc / "17/main/conf.d/both.conf").read_text() == "new\n"
    assert host.told == ["restart postgresql@17-main.service"]
    assert _postgresql._carry_drop_ins(host, OLD, "17", str(etc)) == [] and len(host.told) == 1
    assert _postgresql._carry_drop_ins(host, dict(OLD, name="other"), "17", str(etc)) == []


def test_a_server_that_does_not_start_with_them_runs_without_and_says_so(etc, tmp_path):
    host = Host(tmp_path)
    host.refuses = True
    with pytest.raises(_host.StageFailure, match=r"PostgreSQL 17 does not start with listen\.conf of version 15") as caught:
        _postgresql._carry_drop_ins(host, OLD, "17", str(etc))
    assert "/17/main/conf.d under the same names" in caught.value.following
    assert os.listdir(etc / "17/main/conf.d") == ["both.conf"]
    assert host.told == ["restart postgresql@17-main.service"] * 2


PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if os.path.isdir("/usr/lib/postgresql") else []


@pytest.fixture
def server(tmp_path_factory):
    """A real server of its own; psql(database, statement)."""
    if os.geteuid() or not PROGRAMS or not shutil.which("psql"):
        pytest.skip("needs root and PostgreSQL (package postgresql)")
    place = tmp_path_factory.mktemp("pg")
    # postgres must reach it, and the directory of everybody's temporary files stays as it is
    for path in (place, *(p for p in place.parents if p.is_relative_to(tempfile.gettempdir()) and p != Path(tempfile.gettempdir()))):
        path.chmod(0o755)
    shutil.chown(place, "postgres", "postgres")
    programs, run = PROGRAMS[-1].parent, ["runuser", "-u", "postgres", "--"]
    subprocess.run([*run, str(programs / "initdb"), "-D", str(place / "data"), "-A", "trust"], check=True, capture_output=True)
    options = f"-c listen_addresses= -c unix_socket_directories={place} -p 5999 -c fsync=off"
    begin = [*run, str(programs / "pg_ctl"), "-D", str(place / "data"), "-w", "-l", str(place / "log"), "-o", options]
    subprocess.run([*begin, "start"], check=True, capture_output=True)

    def psql(database, statement):
        argv = [*run, "psql", "-X", "-A", "-t", "-q", "-h", str(place), "-p", "5999", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise IntactError(done.stderr)
        return done.stdout

    yield psql
    subprocess.run([*begin, "-m", "immediate", "stop"], check=False, capture_output=True)


def test_views_that_held_rows_are_filled_again_and_those_that_did_not_are_not(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_postgresql, "_psql", lambda host, cluster, database, statement: server(database, statement))
    monkeypatch.setattr(_postgresql, "_cluster", lambda host, version, name: dict(OLD, version=version))
    server("postgres", 'CREATE DATABASE "Shop"')
    server("Shop", 'CREATE TABLE t AS SELECT 7 AS n; CREATE MATERIALIZED VIEW sum AS SELECT n FROM t; CREATE MATERIALIZED VIEW "On top" AS SELECT n FROM sum')
    server("Shop", "CREATE MATERIALIZED VIEW never AS SELECT n FROM t WITH NO DATA")
    host = Host(tmp_path)
    _postgresql._remember_views(host, OLD)
    assert json.dumps(host.kept).count("never") == 0
    # as the load leaves them
    server("Shop", 'REFRESH MATERIALIZED VIEW "On top" WITH NO DATA; REFRESH MATERIALIZED VIEW sum WITH NO DATA')
    assert len(_postgresql._fill_views(host, OLD, "17")) == 2
    assert server("Shop", 'SELECT n FROM "On top"').strip() == "7"
    assert server("Shop", "SELECT ispopulated FROM pg_matviews WHERE matviewname = 'never'").strip() == "f"
    assert _postgresql._fill_views(host, OLD, "17") == [] and host.told == []
    server("Shop", 'REFRESH MATERIALIZED VIEW "On top" WITH NO DATA; ALTER TABLE t RENAME TO gone; DROP MATERIALIZED VIEW "On top"')
    server("Shop", "CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$no$$; END'")
    server("Shop", 'CREATE MATERIALIZED VIEW "On top" AS SELECT broken() WITH NO DATA')
    assert _postgresql._fill_views(host, OLD, "17") == []
    assert "public.On top" in host.told[0] and "no" in host.told[0]


@pytest.mark.parametrize(("enabled", "expected"), [("enabled", ["enable postgresql@17-main.service", "disable postgresql@15-main.service"]), ("static", [])])
def test_a_unit_that_was_enabled_does_not_start_the_old_cluster_at_boot(tmp_path, monkeypatch, enabled, expected):
    """start.conf said manual, and after the reboot the old server answered on every address (seen on shop1)."""
    host = Host(tmp_path)
    monkeypatch.setattr(host, "unit_state", lambda unit, what="ActiveState": enabled if (unit, what) == ("postgresql@15-main.service", "UnitFileState") else "")
    _postgresql._start_the_new_one(host, {"version": "15", "name": "main"}, "17")
    assert [word for word in host.told if word.startswith(("enable", "disable"))] == expected
