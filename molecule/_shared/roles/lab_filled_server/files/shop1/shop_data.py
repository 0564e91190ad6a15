# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shop's PostgreSQL database as SQL text: the same on each call."""

from __future__ import annotations

import random
from collections.abc import Iterator

CUSTOMERS = 800
ORDERS = 4_000
GOODS = ("Apples, red", "Äpfel, grün", "Pears", "Quince jam", "Cider 0,7 l", "Honey", "洋梨")

SCHEMA = """
CREATE SCHEMA shop AUTHORIZATION orchard_shop;
GRANT USAGE ON SCHEMA shop TO accountant;
SET ROLE orchard_shop;
SET search_path = shop;
CREATE TABLE goods (id integer PRIMARY KEY, name text NOT NULL UNIQUE, stock integer NOT NULL CHECK (stock >= 0), picture bytea);
CREATE TABLE customer (id integer PRIMARY KEY, name text NOT NULL, mail text NOT NULL, joined timestamptz NOT NULL, extra jsonb);
CREATE SEQUENCE order_number START 1;
CREATE TABLE orders (
  id integer PRIMARY KEY DEFAULT nextval('order_number'), customer_id integer NOT NULL REFERENCES customer (id),
  goods_id integer NOT NULL REFERENCES goods (id), pieces integer NOT NULL, paid boolean NOT NULL DEFAULT false, at timestamptz NOT NULL
);
CREATE INDEX orders_unpaid ON orders (at) WHERE NOT paid;
"""
OBJECTS = """
SELECT setval('order_number', 10000);
CREATE VIEW unpaid AS SELECT c.name, count(*) AS n FROM orders o JOIN customer c ON c.id = o.customer_id WHERE NOT o.paid GROUP BY c.name;
CREATE FUNCTION sold(what integer) RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT sum(pieces) FROM shop.orders WHERE goods_id = what $$;
GRANT SELECT ON orders, unpaid TO accountant;
COMMENT ON TABLE goods IS 'what the farm sells';
"""


def shop() -> Iterator[str]:
    rng = random.Random(21)
    yield SCHEMA
    yield "COPY shop.goods FROM stdin;\n"
    for number, name in enumerate(GOODS, 1):
        yield f"{number}\t{name}\t{rng.randint(0, 900)}\t\\\\x{rng.randbytes(300).hex()}\n"
    yield "\\.\nCOPY shop.customer FROM stdin;\n"
    for number in range(1, CUSTOMERS + 1):
        name = rng.choice(("Grüße", "Smith", "Ωmega", "山田", "O'Neil")) + f" {number}"
        extra = r"\N" if number % 6 else '{"gate": %d}' % rng.randint(1, 9)
        yield f"{number}\t{name}\tc{number}@example.test\t20{rng.randint(13, 25)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)} 08:00:00+00\t{extra}\n"
    yield "\\.\nCOPY shop.orders FROM stdin;\n"
    for number in range(1, ORDERS + 1):
        paid = "t" if rng.random() < 0.8 else "f"
        row = (number, rng.randint(1, CUSTOMERS), rng.randint(1, len(GOODS)), rng.randint(1, 40), paid, f"2025-0{rng.randint(1, 9)}-15 09:00:00+00")
        yield "\t".join(map(str, row)) + "\n"
    yield "\\.\n"
    yield OBJECTS
