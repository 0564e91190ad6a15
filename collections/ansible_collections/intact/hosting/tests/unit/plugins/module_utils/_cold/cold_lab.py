# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A MariaDB with everything that customers have in one, killed at work; and the disk that its data lies on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import old_disk, panel_server

OLD_HASH = "5d2e19393cc5ef67"
SCHEMA = r"""
CREATE DATABASE shop CHARACTER SET latin1; CREATE DATABASE `dot.ted-ü` CHARACTER SET utf8mb4;
USE shop;
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(99), f FLOAT) ENGINE=InnoDB CHARACTER SET latin1;
CREATE TABLE mojibake (id INT PRIMARY KEY, t VARCHAR(50), e ENUM('ä','b') DEFAULT 'ä', b BLOB) ENGINE=MyISAM CHARACTER SET latin1;
CREATE TABLE plain (id INT PRIMARY KEY, t VARCHAR(500), KEY (t(90))) ENGINE=MyISAM CHARACTER SET utf8;
CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, t CHAR(200)) ENGINE=InnoDB;
CREATE TABLE dated (d DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', n INT) ENGINE=InnoDB;
INSERT INTO dated VALUES ('0000-00-00 00:00:00', 1);
INSERT INTO orders (what, f) SELECT REPEAT('x', 90), 1.5 FROM seq_1_to_5000;
INSERT INTO plain SELECT seq, CONCAT('word ', seq) FROM seq_1_to_2000;
INSERT INTO big (t) SELECT REPEAT('y', 200) FROM seq_1_to_3000;
CREATE VIEW seen AS SELECT id FROM orders;
CREATE DEFINER=`gone`@`localhost` PROCEDURE tidy() DELETE FROM orders WHERE id < 0;
CREATE TRIGGER counted BEFORE INSERT ON orders FOR EACH ROW SET @n = 1;
CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR DO DELETE FROM orders;
USE `dot.ted-ü`;
CREATE TABLE `täble/x` (`spälte` INT PRIMARY KEY, t TEXT) ENGINE=InnoDB; INSERT INTO `täble/x` VALUES (1, '€'), (2, NULL);
CREATE SEQUENCE counter START 7; SELECT NEXTVAL(counter); CREATE TABLE words (t TEXT, FULLTEXT (t)) ENGINE=InnoDB; INSERT INTO words VALUES ('one two');
CREATE USER 'shop'@'localhost' IDENTIFIED BY 'secret word'; GRANT ALL ON shop.* TO 'shop'@'localhost'; GRANT SELECT ON `dot.ted-ü`.* TO 'shop'@'localhost';
CREATE USER 'ancient'@'%%' IDENTIFIED VIA mysql_old_password USING '%s';
SET GLOBAL innodb_fast_shutdown = 1;
""" % OLD_HASH.replace("%", "%%")


@contextlib.contextmanager
def killed_server():
    """(top of a directory, a MariaDB that was killed at work)."""
    top = tempfile.mkdtemp(prefix="intact-cold-")
    os.chmod(top, 0o711)
    server = panel_server.HostServer(top).make()
    try:
        server.sql("SET NAMES utf8mb4; SET sql_mode = '';" + SCHEMA.replace("%%", "%"))
        # UTF-8 bytes in a latin1 column, as applications of 2005 wrote them; and a byte that is no character of anything
        server.sql("SET NAMES latin1; INSERT INTO mojibake VALUES (1, 0x4772C3BCC39F65, 0xE4, 0x00FF27), (2, 0x81E29C93, 'b', NULL);", "shop")
        # what is damaged below must not be mended by the log
        server.end(signal.SIGTERM)
        server.start()
        half = subprocess.Popen(["mariadb", "--defaults-file=" + server.options, "shop"], stdin=subprocess.PIPE)
        half.stdin.write(b"START TRANSACTION; UPDATE orders SET what = 'lost' WHERE id < 3000;\n")
        half.stdin.flush()
        while "lost" not in server.sql("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SELECT what FROM orders WHERE id = 2999", "shop"):
            pass
        server.end()
        with contextlib.suppress(BrokenPipeError):
            half.stdin.close()
        half.wait()
        yield top, server
    finally:
        server.end()
        shutil.rmtree(top)
        panel_server.forget()


@contextlib.contextmanager
def disk_of(killed):
    """An OldDisk with the killed server's data, and a directory of ours (scratch)."""
    made = old_disk.OldDisk(tempfile.mkdtemp(prefix="root-", dir=killed[0]))
    try:
        made.take(killed[1])
        made.scratch = tempfile.mkdtemp(prefix="scratch-", dir=killed[0])
        os.chmod(made.scratch, 0o711)
        yield made
    finally:
        made.unlock()
        shutil.rmtree(made.root)
        shutil.rmtree(made.scratch, ignore_errors=True)
