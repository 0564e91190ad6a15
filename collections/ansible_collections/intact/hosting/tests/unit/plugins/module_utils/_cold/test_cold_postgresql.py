# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL that was killed at work, dumped from its disk by its own major; its settings start nothing, and the disk is as it was."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._cold import _postgresql, _postgresql_dump, _take
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._cold import postgresql_server

real = pytest.mark.skipif(bool(postgresql_server.missing()), reason=postgresql_server.missing() or "-")


@pytest.fixture(scope="module")
def killed():
    top = tempfile.mkdtemp(prefix="intact-cold-")
    os.chmod(top, 0o711)
    server = postgresql_server.Server(top).make()
    try:
        server.sql(
            "CREATE ROLE app LOGIN PASSWORD 'secret word'; CREATE DATABASE app OWNER app; CREATE DATABASE \"odd-ü.x\" ENCODING 'SQL_ASCII' TEMPLATE template0"
        )
        server.sql(
            "CREATE TABLE t (id INT PRIMARY KEY, v TEXT, f FLOAT); INSERT INTO t SELECT n, 'row ' || n, n / 3.0 FROM generate_series(1, 3000) n;"
            "CREATE TABLE nokey (a TEXT); INSERT INTO nokey VALUES ('x'), (NULL); CREATE VIEW seen AS SELECT id FROM t; CREATE SEQUENCE s START 7;",
            "app",
        )
        # a byte that is no character, in a database that takes any
        server.sql("CREATE TABLE raw (id INT PRIMARY KEY, b TEXT); INSERT INTO raw VALUES (1, E'\\xe4\\xf6');", "odd-ü.x")
        place = server.sql("SELECT pg_relation_filepath('t')", "app").strip()
        server.sql("CHECKPOINT;")
        server.sql("INSERT INTO t SELECT n, 'late', 0 FROM generate_series(3001, 4000) n;", "app")
        with open(server.data + "/postgresql.auto.conf", "a") as handle:
            handle.write("archive_mode = 'on'\narchive_command = 'touch %s/owned'\nshared_preload_libraries = 'no_such_library'\n" % top)
        server.end()
        assert os.path.exists(server.data + "/postmaster.pid")
        yield top, server, place
    finally:
        server.end()
        shutil.rmtree(top)


@pytest.fixture
def disk(killed):
    made = postgresql_server.Disk(tempfile.mkdtemp(prefix="root-", dir=killed[0]))
    made.take_cluster(killed[1])
    made.scratch = tempfile.mkdtemp(prefix="scratch-", dir=killed[0])
    os.chmod(made.scratch, 0o711)
    yield made
    made.unlock()
    shutil.rmtree(made.root)
    shutil.rmtree(made.scratch)


def settings(disk, **more):
    return _take.Settings(root=disk.root, kind="postgresql", dest=disk.scratch + "/dest", directory=disk.scratch + "/work", **more)


@real
@pytest.mark.parametrize("how", ["overlay", "auto"])
def test_everything_is_dumped_and_the_disk_is_as_it_was(disk, killed, how):
    disk.lock()
    before = disk.state()
    document = _take.take(settings(disk, how=how))
    assert disk.state() == before and not os.path.exists(killed[0] + "/owned")
    assert document["verdict"] == "proven", document["findings"]
    found = {name: {table: entry["rows"] for table, entry in kept["tables"].items()} for name, kept in document["databases"].items()}
    assert found == {"app": {"public.t": 4000, "public.nokey": 2}, "odd-ü.x": {"public.raw": 1}, "postgres": {}}
    assert document["accounts"] == ["app", "postgres"]
    dest = disk.scratch + "/dest"
    with open(dest + "/accounts.sql", "rb") as handle:
        assert b"SCRAM-SHA-256" in handle.read()
    for name in os.listdir(dest):
        assert stat.S_IMODE(os.stat(os.path.join(dest, name)).st_mode) == 0o600
    with open(dest + "/" + document["databases"]["odd-ü.x"]["file"], "rb") as handle:
        assert b"\t\xe4\xf6\n" in handle.read()
    assert "SCRAM" not in repr(_take.shown(document))
    assert not os.listdir(disk.scratch + "/work")
    assert _take.kept(settings(disk)) == document


@real
def test_sums_for_servers_that_the_baseline_is_too_new_for_are_the_same(disk, monkeypatch):
    document = _take.take(settings(disk, databases=["app"]))
    monkeypatch.setattr(_postgresql_dump, "ASKED", 99)
    older = _take.take(settings(disk, databases=["app"]))
    pick = {table: (entry["rows"], entry["digest"]) for table, entry in document["databases"]["app"]["tables"].items()}
    assert pick == {table: (entry["rows"], entry["digest"]) for table, entry in older["databases"]["app"]["tables"].items()} and pick["public.t"][1]


@real
def test_a_torn_table_is_told_by_name_and_the_rest_is_saved(disk, killed):
    number = disk.root + disk.cluster + "/" + killed[2]
    with open(number, "r+b") as handle:
        handle.write(b"\xff" * 8192)
    before = disk.state()
    document = _take.take(settings(disk))
    assert disk.state() == before
    entry = document["databases"]["app"]["tables"]["public.t"]
    assert "invalid page" in entry["damaged"] and document["verdict"] == "damaged"
    assert document["databases"]["app"]["tables"]["public.nokey"]["rows"] == 2
    assert document["databases"]["app"]["file"], document["databases"]["app"]["said"]


@real
def test_the_disks_own_program_reads_it_with_the_disk_as_its_root(disk):
    disk.install_postgresql()
    disk.lock()
    before = disk.state()
    document = _take.take(settings(disk, how="disk"))
    assert disk.state() == before
    assert document["verdict"] == "proven" and "was started with the disk as its /" in document["said"][0]
    assert document["databases"]["app"]["tables"]["public.t"]["rows"] == 4000


@real
def test_another_major_is_refused_with_what_to_install(disk):
    with open(disk.root + disk.cluster + "/PG_VERSION", "w") as handle:
        handle.write("8.3\n")
    with pytest.raises(IntactError, match=r"is of PostgreSQL 8\.3, which opens with its own major only; .* install postgresql-8\.3 here"):
        _take.plan(settings(disk))


@real
def test_a_tablespace_is_found_on_the_disk_and_never_on_this_host(disk, killed):
    link = disk.root + disk.cluster + "/pg_tblspc/16999"
    os.symlink("/data/space", link)
    os.makedirs(disk.root + "/data/space/PG_15_x")
    with pytest.raises(IntactError, match="links \\(16999\\), which would lead to this host"):
        _take.take(settings(disk, how="overlay"))
    document = _take.take(settings(disk))
    assert document["verdict"] == "proven" and os.readlink(link) == "/data/space"


def test_two_clusters_are_named(tmp_path):
    for name in ("8.1/main", "9.6/main"):
        (tmp_path / "var/lib/postgresql" / name).mkdir(parents=True)
        (tmp_path / "var/lib/postgresql" / name / "PG_VERSION").write_text(name.split("/", maxsplit=1)[0] + "\n")
    view = _take.view_of(str(tmp_path))
    with pytest.raises(IntactError, match="2 PostgreSQL clusters"):
        _postgresql.locate(view)
    assert _postgresql.clusters(view) == ["/var/lib/postgresql/8.1/main", "/var/lib/postgresql/9.6/main"]
    assert _postgresql.locate(view, "/var/lib/postgresql/8.1/main")["version"] == "8.1"
