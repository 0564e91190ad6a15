# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk's databases opened cold: what a killed server had promised is there, and not one byte of the disk changes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql, _mysql_options
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _asking, _processes
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import old_disk, panel_server

real = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")
CHECKSUM = "CHECKSUM TABLE shop.orders, shop.old"


@pytest.fixture(scope="module")
def killed():
    """(top of a directory, data directory of a server that was killed at work, what it had promised)."""
    top = tempfile.mkdtemp(prefix="intact-panel-")
    os.chmod(top, 0o711)
    server = panel_server.HostServer(top).make()
    try:
        server.sql("CREATE DATABASE shop; CREATE DATABASE other; CREATE TABLE other.t (a INT) ENGINE=InnoDB;")
        server.sql("CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(99)) ENGINE=InnoDB CHARACTER SET latin1", "shop")
        server.sql("CREATE TABLE old (id INT, t TEXT) ENGINE=MyISAM; INSERT INTO old VALUES (1, 'a\\tb\\nc\\\\d'), (2, NULL);", "shop")
        server.sql("INSERT INTO orders (what) SELECT REPEAT('x', 90) FROM seq_1_to_20000", "shop")
        promised = server.sql(CHECKSUM)
        # half done when it is killed
        half = subprocess.Popen(["mariadb", "--defaults-file=" + server.options, "shop"], stdin=subprocess.PIPE)
        half.stdin.write(b"START TRANSACTION; UPDATE orders SET what = 'y' WHERE id < 5000;\n")
        half.stdin.flush()
        while "y" not in server.sql("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SELECT what FROM orders WHERE id = 4999", "shop"):
            pass
        server.sql("SET GLOBAL innodb_max_dirty_pages_pct = 0; FLUSH TABLES old;", "shop")
        # and at work when it is killed: its log has something of orders that the file has not
        for word in range(900):
            half.stdin.write(b"UPDATE orders SET what = 'y%d' WHERE id < 5000;\n" % word)
        half.stdin.flush()
        time.sleep(0.5)
        server.end()
        with contextlib.suppress(BrokenPipeError):
            half.stdin.close()
        half.wait()
        yield top, server, promised
    finally:
        server.end()
        shutil.rmtree(top)
        panel_server.forget()


@pytest.fixture
def disk(killed):
    made = old_disk.OldDisk(tempfile.mkdtemp(prefix="root-", dir=killed[0]))
    made.take(killed[1])
    made.scratch = tempfile.mkdtemp(prefix="scratch-", dir=killed[0])
    os.chmod(made.scratch, 0o711)
    yield made
    made.unlock()
    shutil.rmtree(made.root)
    shutil.rmtree(made.scratch)


def opened(disk, how="auto"):
    return _asking.Disk(disk.view, disk.scratch + "/work", how)


def here(disk):
    """Servers that run below the scratch directory, and mounts there."""
    with open("/proc/self/mountinfo") as handle:
        return [line for line in handle if disk.scratch in line]


@real
@pytest.mark.parametrize("how", ["copy", "overlay", "auto"])
def test_what_was_promised_is_there_and_the_disk_is_untouched(disk, killed, how):
    disk.lock()
    before = disk.state()
    with opened(disk, how) as query:
        assert "\t".join("\n".join("\t".join(row) for row in query("", CHECKSUM)).split("\t")) + "\n" == killed[2]
        assert query("shop", "SELECT COUNT(*) FROM orders WHERE what = 'y'") == [("0",)]
        assert query("shop", "SELECT t FROM old ORDER BY id") == [("a\tb\nc\\d",), ("NULL",)]
        assert query("", "SHOW VARIABLES LIKE 'skip_networking'") == [("skip_networking", "ON")]
        with pytest.raises(IntactError, match="ERROR 1146"):
            query("shop", "SELECT secret FROM nothing")
        query("shop", "UPDATE orders SET what = 'z'")
        assert not here(disk), "an overlay is seen by its server only"
        pid = query.server._process.pid
        assert query.said == []
    assert disk.state() == before
    assert not os.path.exists(disk.scratch + "/work") and not os.path.exists("/proc/%d" % pid)


@real
def test_links_of_the_disk_lead_to_the_disk_and_never_to_this_host(disk, killed):
    os.makedirs(disk.root + "/data")
    shutil.move(disk.root + "/var/lib/mysql/other", disk.root + "/data/other")
    os.symlink("/data/other", disk.root + "/var/lib/mysql/other")
    os.symlink("/etc/shadow", disk.root + "/var/lib/mysql/shadow")
    before = disk.state()
    with opened(disk, "copy") as query:
        assert query("", "SELECT COUNT(*) FROM other.t") == [("0",)]
        assert not os.path.lexists(query.server.directory + "/data/shadow")
        assert query.said == ["/var/lib/mysql/shadow is a link that leads nowhere on the disk"]
    with pytest.raises(IntactError, match="links \\(other, shadow\\), which would lead to this host"), opened(disk, "overlay") as query:
        query("", "SELECT 1")
    assert disk.state() == before


@real
@pytest.mark.parametrize("then", ["this host's", "its own"])
def test_where_versions_demand_it_the_disks_own_program_does_the_recovery(disk, killed, monkeypatch, tmp_path, then):
    disk.install_server()
    disk.lock()
    before = disk.state()
    # stands for a server of another version, which refuses what a crash left
    refusing = tmp_path / "refusing"
    clean = "os.execv('/usr/sbin/mariadbd', ['/usr/sbin/mariadbd'] + sys.argv[1:])" if then == "this host's" else "sys.exit('[ERROR] too new')"
    after = "'/merged' in ' '.join(sys.argv)"
    words = "[ERROR] InnoDB: Upgrade after a crash is not supported. The redo log was created with MySQL 5.0.51a."
    refusing.write_text("#!%s\nimport os, sys\nif %s:\n    %s\nsys.exit(%r)\n" % (sys.executable, after, clean, words))
    refusing.chmod(0o755)
    os.chmod(tmp_path, 0o755)
    # mysql must reach it, and the directory of everybody's temporary files stays as it is
    for path in tmp_path.parents:
        if path.is_relative_to(tempfile.gettempdir()) and str(path) != tempfile.gettempdir():
            path.chmod(0o755)
    monkeypatch.setattr(_mysql, "which", lambda name: str(refusing) if name == "mariadbd" else shutil.which(name))
    with opened(disk) as query:
        assert "\n".join("\t".join(row) for row in query("", CHECKSUM)) + "\n" == killed[2]
        assert "The redo log was created with MySQL 5.0.51a" in query.said[0] and "/usr/sbin/mysqld was started with the disk as its /" in query.said[0]
        assert len(query.said) == (1 if then == "this host's" else 2)
        process = query.server._process.pid
        root = os.readlink("/proc/%d/root" % process)
        assert (root == "/") == (then == "this host's")
        if then == "its own":
            with open("/proc/%d/status" % process) as handle:
                told = dict(line.split(":", 1) for line in handle)
            assert told["Uid"].split()[0] != "0" and int(told["CapEff"], 16) == 0 and told["NoNewPrivs"].strip() == "1"
            assert os.readlink("/proc/%d/ns/net" % process) != os.readlink("/proc/self/ns/net")
    assert disk.state() == before and not here(disk)


@real
def test_a_damaged_table_costs_no_more_than_itself(disk, killed):
    os.unlink(disk.root + "/var/lib/mysql/shop/orders.ibd")
    with opened(disk, "copy") as query:
        assert query("other", "SELECT COUNT(*) FROM t") == [("0",)] and query("shop", "SELECT COUNT(*) FROM old") == [("2",)]
        assert query.server.forced == 1 and "innodb_force_recovery=1" in query.said[-1], query.said
        with pytest.raises(IntactError, match="ERROR"):
            query("shop", "SELECT * FROM orders")


@real
def test_what_can_not_be_opened_is_told_and_nothing_is_left_behind(disk, killed):
    os.truncate(disk.root + "/var/lib/mysql/ibdata1", 100000)
    before = disk.state()
    with opened(disk) as query:
        with pytest.raises(IntactError, match="can't be opened, not even what is whole of it"):
            query("shop", "SELECT 1")
        with pytest.raises(IntactError, match="can't be opened"):
            query("shop", "SELECT 1")
    assert disk.state() == before and os.listdir(disk.scratch) == []


@real
def test_a_killed_rescue_leaves_no_server_and_no_mount(disk, killed):
    script = (
        "import os, sys; sys.path.insert(0, %r)\n"
        "from ansible_collections.intact.hosting.plugins.module_utils._panels import _asking\n"
        "from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted\n"
        "query = _asking.Disk(Rooted(%r), %r, 'overlay')\n"
        "query('shop', 'SELECT 1')\n"
        "print(query.server._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    ) % (os.path.abspath(__file__).split("/ansible_collections/")[0], disk.root, disk.scratch + "/work")
    before = disk.state()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    record = {"program": os.path.realpath("/usr/sbin/mariadbd"), "datadir": disk.scratch + "/work/server/overlay/merged"}
    for _time in range(100):
        if not os.path.exists("/proc/%s" % done.stdout.decode().strip()):
            break
        subprocess.run(["sleep", "0.05"], check=True)
    assert not _processes.running(record) and not os.path.exists("/proc/%s" % done.stdout.decode().strip())
    assert not here(disk) and disk.state() == before


def test_a_sqlite_file_is_read_on_a_copy_with_what_a_crash_left_beside_it(tmp_path):
    root = tmp_path / "root"
    (root / "var").mkdir(parents=True)
    (root / "etc").mkdir()
    script = (
        "import os, sqlite3; c = sqlite3.connect(%r, isolation_level=None); c.execute('PRAGMA journal_mode = WAL')\n"
        "c.execute('CREATE TABLE t (a, b)'); c.execute(\"INSERT INTO t VALUES ('kept', NULL)\"); os.kill(os.getpid(), 9)"
    ) % str(root / "var" / "a.db")
    subprocess.run([sys.executable, "-c", script], check=False)
    os.symlink("/var/a.db", root / "link.db")
    before = {name: (root / "var" / name).read_bytes() for name in os.listdir(root / "var")}
    assert before.get("a.db-wal")
    disk = _asking.Disk(Rooted(str(root)), str(tmp_path / "work"))
    assert disk("sqlite:/var/a.db", "SELECT a, b FROM t") == [("kept", "")]
    assert disk("/link.db", "SELECT COUNT(*) FROM sqlite_master") == [("1",)]
    with pytest.raises(IntactError, match="no such table"):
        disk("/var/a.db", "SELECT * FROM nowhere")
    with pytest.raises(IntactError, match=r"/var/none\.db is not on the disk"):
        disk("/var/none.db", "SELECT 1")
    (root / "var" / "torn.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    with pytest.raises(IntactError, match="SQLite"):
        disk("/var/torn.db", "SELECT 1")
    with pytest.raises(IntactError, match="no data of a MySQL or MariaDB"):
        disk("shop", "SELECT 1")
    disk.close()
    assert {name: (root / "var" / name).read_bytes() for name in before} == before and not (tmp_path / "work").exists()


def test_where_the_data_is_and_what_another_server_must_know_is_read_from_the_disks_configuration():
    view = FakeSystem(
        files={
            "/etc/my.cnf": "[client]\ndatadir=/wrong\n[mysqld]\ndatadir = '/data/db' # here\ninnodb-data-file-path=ibdata1:10M:autoextend\n"
            "innodb_log_group_home_dir=/data/logs\nlower_case_table_names=1\nskip-bdb\nlog-bin=binary\n!includedir /etc/my.d\n",
            "/etc/my.d/a.cnf": "[mysqld-5.0]\nloose_innodb_log_file_size=64M\n[mysqldump]\nquick\n",
            "/etc/my.d/b.txt": "[mysqld]\ndatadir=/other\n",
            "/data/db/ibdata1": "",
            "/data/db/binary.index": "",
            "/usr/libexec/mysqld": "",
        }
    )
    found = _mysql_options.locate(view)
    settings = {"innodb_data_file_path": "ibdata1:10M:autoextend", "lower_case_table_names": "1", "innodb_log_file_size": "64M", "log_bin": "binary"}
    assert found == {"datadir": "/data/db", "settings": settings, "places": {"innodb_log_group_home_dir": "/data/logs"}, "programs": ["/usr/libexec/mysqld"]}
    words = _mysql_options.words(found, "/copy", {"innodb_log_group_home_dir": "/copy2"})
    assert words[0] == "--datadir=/copy" and words[-1] == "--innodb-log-group-home-dir=/copy2" and "--log-bin=binary" in words
    assert _mysql_options.outside({"settings": {"innodb_data_file_path": "ibdata1:1G;/data2/ibdata2:10M"}}) == ["/data2/ibdata2"]
    assert _mysql_options.locate(FakeSystem()) is None


@pytest.mark.parametrize(
    "words",
    [
        "InnoDB: Upgrade after a crash is not supported. The redo log was created with MySQL 5.7.9.",
        "InnoDB: Unsupported redo log format. The redo log was created with MariaDB 11.0",
        "Cannot upgrade server earlier than 5.7 to 8.0: unsupported, not supported by this version",
    ],
)
def test_a_refusal_because_of_versions_is_told_from_damage(words):
    assert _mysql.FOREIGN.search(words)
    assert not _mysql.FOREIGN.search("InnoDB: Tablespace 7 was not found at ./shop/t.ibd.")


@pytest.mark.skipif(os.getuid() != 0, reason="root is needed to mount")
def test_a_program_on_a_disk_that_is_mounted_noexec_is_one(tmp_path):
    """Whoever mounts an old disk with care mounts it so; its server was 'not there' then."""
    held = _mysql.Cold.__new__(_mysql.Cold)
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,size=1m", "none", str(tmp_path / "disk")], check=True)
    try:
        (tmp_path / "disk" / "mysqld").write_text("#!/bin/sh\n")
        (tmp_path / "disk" / "mysqld").chmod(0o755)
        held._view, held._found = Rooted(str(tmp_path / "disk")), {"programs": ["/mysqld"]}
        held._wipe = lambda: (nothing for nothing in ()).throw(KeyError("it went on"))
        with pytest.raises(KeyError, match="it went on"):
            held._by_disk("asked for")
    finally:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)
