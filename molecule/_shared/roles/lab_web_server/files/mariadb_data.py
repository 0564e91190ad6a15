# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the customers' MariaDB databases as SQL text: the same on each call."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

ORDERS = 60_000
OLD_ORDERS = 25_000
PICTURES = 400
MEMBERS = 12_000
LOGBOOK = 8_000
NAMES = ("Müller", "O'Brien", "Žižka", "Åse", "鈴木", "Nuñez", "Smith", "Łukasz", "Zoë", "d'Arc")
OLD_NAMES = ("Müller", "Peñalver", "Façade", "Garçon", "Björk", "Smith", "Über", "Señor")
GOODS = ("rye bread", "croissant 🥐", "Brötchen", "pretzel", "あんパン", "wedding cake")


def text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def inserts(table: str, rows: Iterator[str], size: int = 1000) -> Iterator[str]:
    """Multi-row INSERT statements."""
    batch: list[str] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield f"INSERT INTO {table} VALUES {','.join(batch)};\n"
            batch = []
    if batch:
        yield f"INSERT INTO {table} VALUES {','.join(batch)};\n"


def moment(rng: random.Random, year: int) -> str:
    day = f"{year}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return f"'{day} {rng.randint(4, 22):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}'"


def orders() -> Iterator[str]:
    rng = random.Random(2001)
    for number in range(1, ORDERS + 1):
        note = "NULL" if number % 3 else text(f"for {rng.choice(NAMES)}: {rng.choice(GOODS)}")
        price = f"{rng.randint(100, 99999) / 100:.2f}"
        yield f"({number},{text(rng.choice(NAMES))},{price},{rng.random():.6f},{moment(rng, 2015 + number % 9)},{note})"


def old_orders() -> Iterator[str]:
    rng = random.Random(2002)
    for number in range(1, OLD_ORDERS + 1):
        remark = "NULL" if number % 4 == 0 else text(f"{rng.choice(OLD_NAMES)} nº {number}")
        yield f"({number},{text(rng.choice(OLD_NAMES))},{rng.randint(1, 500)},{moment(rng, 2004 + number % 6)},{remark})"


def pictures() -> Iterator[str]:
    rng = random.Random(2003)
    for number in range(1, PICTURES + 1):
        blob = "NULL" if number % 50 == 0 else "0x" + rng.randbytes(rng.randint(200, 4000)).hex()
        yield f"({number},{text(f'cake {number}.jpg')},{blob})"


def members() -> Iterator[str]:
    rng = random.Random(2004)
    for number in range(1, MEMBERS + 1):
        left = "NULL" if rng.random() < 0.8 else f"'20{rng.randint(10, 23)}-12-31'"
        mail = text(f"member{number}@example.test")
        key = hashlib.sha256(f"member {number}".encode()).hexdigest()[:32]
        yield f"({number},{text(rng.choice(NAMES))},{mail},0x{key},{left},{rng.randint(0, 1)})"


def logbook() -> Iterator[str]:
    rng = random.Random(2005)
    for number in range(1, LOGBOOK + 1):
        wind = "NULL" if number % 17 == 0 else str(rng.randint(0, 12))
        yield f"({number},{rng.randint(1, MEMBERS)},{moment(rng, 2012 + number % 11)},{wind},{text('Kurs ' + str(number % 360) + '°')})"


SHOP_SCHEMA = """
CREATE TABLE orders (
  id INT UNSIGNED NOT NULL PRIMARY KEY, customer VARCHAR(80) NOT NULL, price DECIMAL(10,2) NOT NULL,
  weight DOUBLE NOT NULL, ordered DATETIME NOT NULL, note TEXT NULL,
  KEY by_customer (customer), KEY by_day (ordered)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE old_orders (
  id INT UNSIGNED NOT NULL PRIMARY KEY, customer VARCHAR(60) NOT NULL, pieces SMALLINT NOT NULL,
  ordered TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, remark VARCHAR(120) NULL, FULLTEXT KEY words (remark)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;
CREATE TABLE pictures (id INT NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL, data MEDIUMBLOB NULL)
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=COMPRESSED;
CREATE TABLE price_changes (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id INT UNSIGNED NOT NULL,
  old_price DECIMAL(10,2), new_price DECIMAL(10,2)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `odd name; "quoted"` (`key` INT NOT NULL, `värde` VARCHAR(20) NULL, UNIQUE KEY (`key`))
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `odd name; "quoted"` VALUES (1,'ett'),(2,NULL),(3,'');
"""
SHOP_OBJECTS = """
CREATE VIEW good_customers AS
  SELECT customer, COUNT(*) AS orders, SUM(price) AS spent FROM orders GROUP BY customer HAVING spent > 1000;
DELIMITER //
CREATE TRIGGER note_price AFTER UPDATE ON orders FOR EACH ROW
BEGIN
  IF OLD.price <> NEW.price THEN
    INSERT INTO price_changes (order_id, old_price, new_price) VALUES (OLD.id, OLD.price, NEW.price);
  END IF;
END//
CREATE FUNCTION with_vat(net DECIMAL(10,2)) RETURNS DECIMAL(10,2) DETERMINISTIC
  RETURN ROUND(net * 1.07, 2)//
CREATE PROCEDURE orders_of(IN who VARCHAR(80))
BEGIN
  SELECT id, price, with_vat(price) AS gross FROM orders WHERE customer = who ORDER BY id LIMIT 20;
END//
CREATE EVENT forget_price_changes ON SCHEDULE EVERY 1 MONTH STARTS '2026-01-01 04:00:00'
  ON COMPLETION PRESERVE DO DELETE FROM price_changes WHERE id < 0//
DELIMITER ;
UPDATE orders SET price = price + 1 WHERE id IN (10, 20, 30);
"""
CLUB_SCHEMA = """
CREATE TABLE members (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL, mail VARCHAR(120) NOT NULL, token BINARY(16) NOT NULL,
  left_on DATE NULL, paid TINYINT(1) NOT NULL, UNIQUE KEY (mail)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE logbook (
  id INT NOT NULL PRIMARY KEY, member_id INT NOT NULL, sailed DATETIME NOT NULL, wind TINYINT NULL, remark VARCHAR(40) NOT NULL,
  CONSTRAINT logbook_member FOREIGN KEY (member_id) REFERENCES members (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE visits (host VARCHAR(40) NOT NULL, hits INT NULL) ENGINE=MyISAM DEFAULT CHARSET=latin1;
INSERT INTO visits VALUES ('buoy.example.test', 12), ('pier.example.test', NULL), ('buoy.example.test', 12);
"""
GRANTS = """
CREATE USER 'hilltop_shop'@'localhost' IDENTIFIED BY 'lab-hilltop_shop';
GRANT ALL ON hilltop_shop.* TO 'hilltop_shop'@'localhost';
CREATE USER 'hilltop_ro'@'%' IDENTIFIED BY 'lab-hilltop_ro';
GRANT SELECT ON hilltop_shop.* TO 'hilltop_ro'@'%';
CREATE USER 'harbour_club'@'localhost' IDENTIFIED BY 'lab-harbour_club';
GRANT ALL ON harbour_club.* TO 'harbour_club'@'localhost' WITH GRANT OPTION;
CREATE USER 'harbour_club'@'%' IDENTIFIED BY 'lab-harbour_club';
GRANT SELECT (id, name), UPDATE (paid) ON harbour_club.members TO 'harbour_club'@'%';
CREATE USER 'northwind_wp'@'localhost' IDENTIFIED BY 'lab-northwind_wp';
GRANT ALL ON northwind_wp.* TO 'northwind_wp'@'localhost';
CREATE USER 'probe'@'%' IDENTIFIED BY 'lab-probe';
GRANT SELECT ON harbour_club.visits TO 'probe'@'%';
"""


def shop() -> Iterator[str]:
    yield "SET NAMES utf8mb4; SET time_zone = '+00:00'; SET foreign_key_checks = 0;\n"
    yield "CREATE DATABASE hilltop_shop CHARACTER SET utf8mb4; USE hilltop_shop;\n" + SHOP_SCHEMA
    yield from inserts("orders", orders())
    yield from inserts("old_orders", old_orders())
    yield from inserts("pictures", pictures(), 50)
    yield SHOP_OBJECTS


def club() -> Iterator[str]:
    yield "SET NAMES utf8mb4; SET time_zone = '+00:00';\n"
    yield "CREATE DATABASE harbour_club CHARACTER SET utf8mb4; USE harbour_club;\n" + CLUB_SCHEMA
    yield from inserts("members", members())
    yield from inserts("logbook", logbook())
