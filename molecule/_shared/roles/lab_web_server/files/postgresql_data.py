# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The customer's PostgreSQL database as SQL text: the same on each call."""

from __future__ import annotations

import random
from collections.abc import Iterator

CONTACTS = 3_000
INVOICES = 9_000

SCHEMA = """
CREATE SCHEMA crm AUTHORIZATION northwind_crm;
GRANT USAGE ON SCHEMA crm TO probe;
SET ROLE northwind_crm;
SET search_path = crm;
CREATE TYPE state AS ENUM ('open', 'paid', 'lost');
CREATE SEQUENCE invoice_number START 10000;
CREATE TABLE contact (
  id integer PRIMARY KEY, name text NOT NULL, tags text[] NOT NULL DEFAULT '{}', extra jsonb, picture bytea, joined timestamptz NOT NULL
);
CREATE TABLE invoice (
  id integer PRIMARY KEY DEFAULT nextval('invoice_number'), contact_id integer NOT NULL REFERENCES contact (id),
  amount numeric(12,2) NOT NULL CHECK (amount >= 0), state state NOT NULL DEFAULT 'open', due date
);
CREATE INDEX invoice_open ON invoice (due) WHERE state = 'open';
CREATE TABLE audit (id bigserial PRIMARY KEY, what text NOT NULL);
"""
OBJECTS = """
SELECT setval('invoice_number', 20000);
CREATE VIEW debtors AS SELECT c.id, c.name, sum(i.amount) AS owed FROM contact c JOIN invoice i ON i.contact_id = c.id
  WHERE i.state = 'open' GROUP BY c.id, c.name;
CREATE MATERIALIZED VIEW turnover AS SELECT state, count(*) AS n, sum(amount) AS total FROM invoice GROUP BY state;
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO crm.audit (what) VALUES (TG_OP || ' invoice ' || NEW.id); RETURN NEW; END $$;
CREATE TRIGGER invoice_changed AFTER UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION note_change();
UPDATE invoice SET state = 'paid' WHERE id IN (11, 12, 13);
COMMENT ON TABLE contact IS 'people the magazine knows';
GRANT SELECT ON crm.turnover TO probe;
"""


def copy_rows() -> Iterator[str]:
    rng = random.Random(15)
    yield "COPY crm.contact FROM stdin;\n"
    for number in range(1, CONTACTS + 1):
        name = rng.choice(("Grüße", "Smith", "Ωmega", "山田", "O'Neil")) + f" {number}"
        extra = r"\N" if number % 7 == 0 else '{"shoe": %d, "note": "a\\\\tb"}' % rng.randint(36, 47)
        picture = r"\N" if number % 5 else r"\\x" + rng.randbytes(64).hex()
        joined = f"20{rng.randint(13, 25)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)} 08:00:00+00"
        yield "\t".join((str(number), name, "{reader,%s}" % rng.choice(("north", "south")), extra, picture, joined)) + "\n"
    yield "\\.\nCOPY crm.invoice FROM stdin;\n"
    for number in range(1, INVOICES + 1):
        state = rng.choice(("open", "paid", "paid", "lost"))
        due = r"\N" if number % 11 == 0 else f"202{rng.randint(0, 5)}-0{rng.randint(1, 9)}-15"
        yield f"{number}\t{rng.randint(1, CONTACTS)}\t{rng.randint(0, 500000) / 100:.2f}\t{state}\t{due}\n"
    yield "\\.\n"


def crm() -> Iterator[str]:
    yield SCHEMA
    yield from copy_rows()
    yield OBJECTS
