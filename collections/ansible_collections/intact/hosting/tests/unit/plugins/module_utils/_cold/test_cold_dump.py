# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases of a MariaDB that was killed at work, dumped from its disk: byte for byte, damaged ones by name, and the disk as it was."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql, _mysql_dump, _mysql_options, _take
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.modules import cold_database
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._cold import cold_lab
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_server

pytestmark = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")


@pytest.fixture(scope="module")
def killed():
    with cold_lab.killed_server() as made:
        yield made


@pytest.fixture
def disk(killed):
    with cold_lab.disk_of(killed) as made:
        yield made


def settings(disk, **more):
    return _take.Settings(root=disk.root, kind="mysql", dest=disk.scratch + "/dest", directory=disk.scratch + "/work", **more)


def tables(document, name="shop"):
    return {table: (entry["rows"], bool(entry["damaged"])) for table, entry in document["databases"][name]["tables"].items()}


def ids(document):
    return {(finding["id"], finding["severity"], finding["subject"]) for finding in document["findings"]}


@pytest.mark.parametrize("how", ["overlay", "auto"])
def test_everything_is_dumped_and_the_disk_is_as_it_was(disk, how):
    before = disk.state()
    document = _take.take(settings(disk, how=how))
    assert disk.state() == before
    assert tables(document) == {"orders": (5000, False), "mojibake": (2, False), "plain": (2000, False), "big": (3000, False), "dated": (1, False)}
    assert tables(document, "dot.ted-ü") == {"täble/x": (2, False), "counter": (0, False), "words": (1, False)}
    assert document["verdict"] == "proven", document["findings"]
    assert document["reset"] == ["ancient@%"] and "shop@localhost" in document["accounts"]
    assert document["events"] == ["shop.hourly"]
    assert ("databases.cold.definer", "warning", "gone@localhost") in ids(document)
    dest = disk.scratch + "/dest"
    for folder, _folders, names in os.walk(dest):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600
    with open(dest + "/shop/mojibake.sql", "rb") as handle:
        text = handle.read()
    assert "enum('ä','b')".encode() in text and b"0x00FF27" in text and b"0x4772C3BCC39F65,0xE4" in text, "bytes as they are stored"
    with open(dest + "/shop/_objects.sql", "rb") as handle:
        text = handle.read()
    assert all(word in text for word in (b"PROCEDURE `tidy`", b"TRIGGER", b"VIEW `seen`")), document["findings"]
    with open(dest + "/shop/_events.sql", "rb") as handle:
        assert re.search(rb"EVENT `hourly` ON SCHEDULE .* DISABLE DO DELETE FROM orders ;;", handle.read())
    with open(dest + "/accounts.sql", "rb") as handle:
        text = handle.read()
    assert b"`shop`" in text and b"intact-cold" not in text and re.search(rb"\*[0-9A-F]{40}", text) and cold_lab.OLD_HASH.encode() in text
    shown = json.dumps(_take.shown(document))
    assert cold_lab.OLD_HASH not in shown and not re.search(r"\*[0-9A-F]{40}", shown)
    assert not os.listdir(disk.scratch + "/work")


def test_a_crashed_index_is_repaired_on_the_copy_only_and_told_with_its_rows(disk):
    path = disk.root + "/var/lib/mysql/shop/plain.MYI"
    with open(path, "r+b") as handle:
        handle.seek(1024)
        handle.write(b"\xff" * 6000)
    before = disk.state()
    document = _take.take(settings(disk, how="overlay"))
    assert disk.state() == before
    entry = document["databases"]["shop"]["tables"]["plain"]
    assert entry["repaired"]["before"] == 2000 and entry["repaired"]["after"] == 2000 and not entry["damaged"], entry
    assert ("databases.cold.repaired", "warning", "shop.plain") in ids(document)


def test_a_torn_table_is_told_by_name_and_costs_no_more_than_itself(disk):
    path = disk.root + "/var/lib/mysql/shop/big.ibd"
    os.truncate(path, 12 * 16384)
    before = disk.state()
    document = _take.take(settings(disk))
    assert disk.state() == before
    found = tables(document)
    assert found["big"][1] and {name: told for name, told in found.items() if name != "big"} == {
        "orders": (5000, False),
        "mojibake": (2, False),
        "plain": (2000, False),
        "dated": (1, False),
    }
    assert document["verdict"] == "damaged" and ("databases.cold.damaged", "blocker", "shop.big") in ids(document)


def test_pages_of_rubbish_are_told_and_the_server_that_dies_of_them_comes_back(disk):
    path = disk.root + "/var/lib/mysql/shop/big.ibd"
    with open(path, "r+b") as handle:
        for page in range(5, 20):
            handle.seek(page * 16384 + 100)
            handle.write(os.urandom(8000))
    document = _take.take(settings(disk, how="overlay"))
    found = tables(document)
    assert found["big"][1], (found, document["said"])
    assert found["orders"] == (5000, False) and found["plain"] == (2000, False)
    assert document["databases"]["shop"]["tables"]["big"]["damaged"]


def test_system_tables_of_an_older_version_are_brought_up_on_the_copy(disk, killed):
    server = killed[1]
    second = panel_server.HostServer(tempfile.mkdtemp(prefix="older-", dir=killed[0]))
    os.chmod(second.top, 0o711)
    try:
        second.make()
        second.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a INT); INSERT INTO shop.t VALUES (1); CREATE PROCEDURE shop.p() SELECT 1;")
        # as 5.0 had them: without these every question about routines and events fails (1558, 1728, 1577)
        second.sql("ALTER TABLE mysql.proc DROP COLUMN aggregate; ALTER TABLE mysql.event DROP COLUMN body_utf8;")
        shutil.rmtree(disk.root + "/var/lib/mysql")
        disk.take(second)
    finally:
        second.end()
        shutil.rmtree(second.top)
    assert server.data != second.data
    for name in ("mariadb_upgrade_info", "mysql_upgrade_info"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(disk.root + "/var/lib/mysql/" + name)
    before = disk.state()
    for how in ("copy", "overlay"):
        document = _take.take(settings(disk, how=how))
        assert document["verdict"] == "proven", document["findings"]
        assert any("were brought to" in line for line in document["said"]), document["said"]
        assert any("p (procedure)" in subject for subject in document["databases"]["shop"]["objects"])
        assert tables(document) == {"t": (1, False)}
    assert disk.state() == before


def test_a_myisam_table_that_was_written_to_at_that_moment_keeps_every_row_that_was_told_stored(disk, killed):
    second = panel_server.HostServer(tempfile.mkdtemp(prefix="busy-", dir=killed[0]))
    os.chmod(second.top, 0o711)
    writer = None
    try:
        second.make()
        second.sql("CREATE DATABASE shop; CREATE TABLE shop.busy (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(300), KEY (t)) ENGINE=MyISAM;")
        second.sql("CREATE TABLE shop.inno (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(300)) ENGINE=InnoDB;")
        writer = subprocess.Popen(["mariadb", "--defaults-file=" + second.options, "shop"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for number in range(4000):
            writer.stdin.write(b"INSERT INTO busy (t) VALUES (REPEAT('%d', 30)); INSERT INTO inno (t) VALUES ('%d');\n" % (number, number))
        writer.stdin.flush()
        while int(second.sql("SELECT COUNT(*) FROM shop.busy")) < 500:
            pass
        told = [int(second.sql("SELECT COUNT(*) FROM shop.%s" % table)) for table in ("busy", "inno")]
        second.end()
        shutil.rmtree(disk.root + "/var/lib/mysql")
        disk.take(second)
    finally:
        second.end()
        if writer:
            with contextlib.suppress(BrokenPipeError):
                writer.stdin.close()
            writer.wait()
        shutil.rmtree(second.top)
    before = disk.state()
    document = _take.take(settings(disk, how="overlay"))
    assert disk.state() == before
    found = document["databases"]["shop"]["tables"]
    assert found["busy"]["rows"] >= told[0] and found["inno"]["rows"] >= told[1] and not found["busy"]["damaged"], (found["busy"], told)
    with open(disk.scratch + "/dest/shop/busy.sql", "rb") as handle:
        assert handle.read().count(b",0x") == found["busy"]["rows"]


def test_accounts_of_a_server_without_show_create_user_come_from_its_grants(disk, monkeypatch):
    def unknown(_system):
        raise IntactError("ERROR 1064 (42000) near 'USER'")

    monkeypatch.setattr(_mysql_dump.mysql, "accounts", unknown)
    document = _take.take(settings(disk, databases=["shop"]))
    assert document["verdict"] == "proven" and "shop@localhost" in document["accounts"], document["findings"]
    with open(disk.scratch + "/dest/accounts.sql", "rb") as handle:
        text = handle.read().decode()
    assert re.search(r"GRANT USAGE ON \*\.\* TO `shop`@`localhost` IDENTIFIED BY PASSWORD '\*[0-9A-F]{40}';\n", text) and "intact-cold" not in text


def test_force_beyond_three_and_lost_logs_want_a_word(disk, monkeypatch):
    os.truncate(disk.root + "/var/lib/mysql/ibdata1", 100000)
    levels = []
    original = _mysql.Cold._by_host

    def noted(self, level, without_logs=False):
        levels.append((level, without_logs, sorted(os.listdir(self.directory))))
        return original(self, level, without_logs)

    monkeypatch.setattr(_mysql.Cold, "_by_host", noted)
    with pytest.raises(IntactError, match="not even what is whole of it"):
        _take.take(settings(disk, how="copy"))
    assert [entry[0] for entry in levels] == [0, 1, 2, 3] and not any(entry[1] for entry in levels)
    levels.clear()
    with pytest.raises(IntactError):
        _take.take(settings(disk, how="copy", dangerous=["innodb_force_recovery=4", "delete_ib_logfiles"]))
    assert [entry[:2] for entry in levels] == [(0, False), (1, False), (2, False), (3, False), (4, False), (0, True)]
    assert os.path.exists(disk.root + "/var/lib/mysql/ib_logfile0")


@pytest.mark.parametrize("then", ["this host's", "its own"])
def test_the_disks_own_program_recovers_and_where_it_must_is_dumped_itself(disk, monkeypatch, then):
    disk.install_server()
    disk.lock()
    before = disk.state()
    if then == "its own":
        real_run = _mysql.Cold._run

        def refused(self, argv, person=None, **more):
            if person is None:
                raise IntactError("too new")
            real_run(self, argv, person, **more)

        monkeypatch.setattr(_mysql.Cold, "_run", refused)
    document = _take.take(settings(disk, how="disk"))
    assert disk.state() == before
    assert document["verdict"] == "proven", document["findings"]
    assert len(document["said"]) == (1 if then == "this host's" else 2) and "shop@localhost" in document["accounts"]
    assert tables(document)["orders"] == (5000, False) and document["databases"]["shop"]["events"] == ["hourly"]


def test_a_full_filesystem_is_no_damage(disk):
    os.mkdir(disk.scratch + "/small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", disk.scratch + "/small"], check=True)
    try:
        told = settings(disk, databases=["shop"])
        told.dest = disk.scratch + "/small/dest"
        with pytest.raises(IntactError, match="there is no room left for the dump"):
            _take.take(told)
    finally:
        subprocess.run(["umount", disk.scratch + "/small"], check=True)
    assert not os.listdir(disk.scratch + "/work")


def call(capsys, check=False, **params):
    with patch_module_args(dict(params, _ansible_check_mode=check)), pytest.raises(SystemExit):
        cold_database.main()
    return json.loads(capsys.readouterr().out)


def test_the_module_foretells_dumps_once_and_refuses_what_it_must(disk, capsys):
    disk.lock()
    words = {"root": disk.root, "kind": "mysql", "dest": disk.scratch + "/dest", "directory": disk.scratch + "/work", "token": "S/1", "databases": ["shop"]}
    told = call(capsys, check=True, **words)
    assert told["changed"] and told["verdict"] == "would-run" and told["plan"]["program"].endswith("/mariadbd") and told["plan"]["bytes"] > 1 << 20
    assert not os.path.exists(disk.scratch + "/dest") and not os.path.exists(disk.scratch + "/work")
    told = call(capsys, **words)
    assert told["changed"] and told["verdict"] == "proven" and list(told["databases"]) == ["shop"]
    again = call(capsys, **words)
    assert not again["changed"] and again["databases"] == told["databases"]
    assert call(capsys, **{**words, "token": "S/2"})["changed"], "a dump of another disk"
    with open(disk.scratch + "/dest/shop/plain.sql", "ab") as handle:
        handle.write(b"-- more\n")
    assert call(capsys, check=True, **{**words, "token": "S/2"})["changed"], "a dump that somebody changed"
    assert "no database nothing" in call(capsys, **{**words, "databases": ["nothing"]})["msg"]
    assert "running host" in call(capsys, **{**words, "root": "/"})["msg"]
    os.makedirs(disk.scratch + "/other/x")
    assert "holds no dump of ours" in call(capsys, **{**words, "dest": disk.scratch + "/other"})["msg"]
    assert "has no data of a mysql server at /nowhere" in call(capsys, **{**words, "datadir": "/nowhere"})["msg"]


def test_rows_by_a_tables_own_count_come_from_its_file(disk):
    data = disk.root + "/var/lib/mysql/shop/"
    assert _mysql_options.records(data + "plain.MYI") == 2000 and _mysql_options.records(data + "mojibake.MYI") == 2
    assert _mysql_options.records(data + "orders.ibd") is None and _mysql_options.records(data + "none") is None
    assert _mysql_options.file_name("a-b") == "a@002db" and _mysql_options.file_name("ü") is None
