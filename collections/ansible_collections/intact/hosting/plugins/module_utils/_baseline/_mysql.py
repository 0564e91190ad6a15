# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""MariaDB and MySQL: what the databases probe asks over the local socket, and how it reads the answers."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAME = "mariadb"
SYSTEM = "('information_schema', 'performance_schema', 'mysql', 'sys')"
# what is compared with the column of the schema's name: all that are customers', or one
CUSTOMERS = "NOT IN " + SYSTEM
# mode '' so that CHAR columns, dates and quoting come the same from every version and server setting
SESSION = "SET NAMES utf8mb4; SET SESSION time_zone = '+00:00', sql_mode = '', lock_wait_timeout = 10;"

# each row starts with a tag; every name is in hexadecimal, so that tabs and newlines in names are harmless
METADATA = [
    "SELECT 'version', VERSION()",
    "SELECT 'db', HEX(SCHEMA_NAME), DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME {which}",
    "SELECT 'table', HEX(TABLE_SCHEMA), HEX(TABLE_NAME), TABLE_TYPE, IFNULL(ENGINE,''), IFNULL(TABLE_COLLATION,''), IFNULL(DATA_LENGTH,0)"
    " FROM information_schema.TABLES WHERE TABLE_SCHEMA {which}",
    "SELECT 'column', HEX(TABLE_SCHEMA), HEX(TABLE_NAME), HEX(COLUMN_NAME), DATA_TYPE, HEX(COLUMN_TYPE), "
    "IFNULL(CHARACTER_OCTET_LENGTH,0), IFNULL(COLLATION_NAME,''),"
    " IS_NULLABLE, HEX(IFNULL(COLUMN_DEFAULT,'')), EXTRA FROM information_schema.COLUMNS WHERE TABLE_SCHEMA {which} ORDER BY "
    "TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
    "SELECT 'index', HEX(TABLE_SCHEMA), HEX(TABLE_NAME), HEX(INDEX_NAME), NON_UNIQUE, HEX(IFNULL(COLUMN_NAME,'')), IFNULL(SUB_PART,'') "
    "FROM information_schema.STATISTICS"
    " WHERE TABLE_SCHEMA {which} ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    "SELECT 'foreign', HEX(TABLE_SCHEMA), HEX(TABLE_NAME), HEX(CONSTRAINT_NAME), HEX(COLUMN_NAME), HEX(REFERENCED_TABLE_NAME), HEX(REFERENCED_COLUMN_NAME)"
    " FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA {which} AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY "
    "TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
    "SELECT 'view', HEX(TABLE_SCHEMA), HEX(TABLE_NAME), HEX(VIEW_DEFINITION), HEX(CONCAT(DEFINER, ' ', SECURITY_TYPE)) FROM "
    "information_schema.VIEWS WHERE TABLE_SCHEMA {which}",
    "SELECT 'routine', HEX(ROUTINE_SCHEMA), HEX(CONCAT(ROUTINE_NAME, ' (', LOWER(ROUTINE_TYPE), ')')), "
    "HEX(IFNULL(ROUTINE_DEFINITION,'')), HEX(CONCAT(DEFINER, ' ', SECURITY_TYPE, ' ', IFNULL(DTD_IDENTIFIER,'')))"
    " FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA {which}",
    "SELECT 'parameter', HEX(SPECIFIC_SCHEMA), HEX(CONCAT(SPECIFIC_NAME, ' (', LOWER(ROUTINE_TYPE), ')')), HEX(CONCAT_WS(' ', "
    "PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER))"
    " FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA {which} ORDER BY SPECIFIC_SCHEMA, SPECIFIC_NAME, ORDINAL_POSITION",
    "SELECT 'trigger', HEX(TRIGGER_SCHEMA), HEX(CONCAT(TRIGGER_NAME, ' (trigger)')), HEX(ACTION_STATEMENT), HEX(CONCAT_WS(' ', "
    "DEFINER, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE))"
    " FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA {which}",
    "SELECT 'event', HEX(EVENT_SCHEMA), HEX(CONCAT(EVENT_NAME, ' (event)')), HEX(EVENT_DEFINITION), HEX(CONCAT_WS(' ', DEFINER, "
    "EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, STATUS))"
    " FROM information_schema.EVENTS WHERE EVENT_SCHEMA {which}",
    "SELECT 'end'",
]

RIGHTS = [
    "SELECT 'user', HEX(CONCAT(User, '@', Host)), plugin, HEX(authentication_string) FROM mysql.user",
    "SELECT 'grant', HEX(GRANTEE), HEX('*.*'), PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES",
    "SELECT 'grant', HEX(GRANTEE), HEX(CONCAT(TABLE_SCHEMA, '.*')), PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.SCHEMA_PRIVILEGES",
    "SELECT 'grant', HEX(GRANTEE), HEX(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)), PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.TABLE_PRIVILEGES",
    "SELECT 'grant', HEX(GRANTEE), HEX(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, '(', COLUMN_NAME, ')')), PRIVILEGE_TYPE, IS_GRANTABLE "
    "FROM information_schema.COLUMN_PRIVILEGES",
    "SELECT 'grant', HEX(CONCAT(User, '@', Host)), HEX(CONCAT(Db, '.', Routine_name, ' (', LOWER(Routine_type), ')')), Proc_priv, 'NO' FROM mysql.procs_priv",
    "SELECT 'grant', HEX(CONCAT(User, '@', Host)), HEX(CONCAT('role ', Role)), 'MEMBER', Admin_option FROM mysql.roles_mapping",
    "SHOW PRIVILEGES",
    "SELECT 'end'",
]

# a table that keeps its own history is one too: its rows of now are digested
STORED = ("BASE TABLE", "SYSTEM VERSIONED")
NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
PLAIN = NUMBERS | {"decimal", "date", "time", "datetime", "timestamp", "year"}
SHORT_BYTES = {"char", "varchar", "enum", "set", "binary", "varbinary"}
LONG_BYTES = {
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "json",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "vector",
}


def unhex(value):
    """Text of a name that came in hexadecimal, odd bytes kept."""
    return bytes.fromhex(value).decode("utf-8", "surrogateescape")


def quote(name):
    """A name as SQL wants it."""
    return "`%s`" % name.replace("`", "``")


def expression(name, kind, octets):
    """SQL that turns a column into text which is equal exactly when its bytes are equal, the same in every version; NULL is '-'."""
    column = quote(name)
    if kind in PLAIN:
        text = column
    elif kind in ("float", "double", "real"):
        # as a double: a FLOAT prints 6 digits only, which would hide a change in the seventh
        text = column + " + 0e0"
    elif kind == "bit":
        text = column + " + 0"
    elif kind in LONG_BYTES or (kind in SHORT_BYTES and octets > 1024):
        # hashed one by one: a long value in hexadecimal would pass max_allowed_packet and become NULL
        text = "MD5(%s)" % column
    elif kind in SHORT_BYTES:
        text = "HEX(%s)" % column
    else:
        text = "HEX(CAST(%s AS CHAR))" % column
    return "COALESCE(%s, '-')" % text


def digest_statements(index, schema, table, columns, key, condition, left_out, until=None):
    """SQL statements that count and digest one table: a count row, then one row for each range of keys; the range with the key until gives two."""
    source = "%s.%s" % (quote(schema), quote(table))
    where = " WHERE NOT COALESCE(%s, FALSE)" % ("(%s)" % condition) if condition else ""
    texts = [expression(c["name"], c["kind"], c["octets"]) for c in columns if not c["generated"] and c["name"] not in left_out]
    row = "MD5(CONCAT_WS('|', %s))" % ", ".join(texts or ["''"])
    out = ["SELECT 'rows', %d, COUNT(*) FROM %s%s;" % (index, source, where)]
    group, number, early = "0", "NULL", "1"
    if key:
        # the smallest power of two that cuts the keys into at most 64 ranges: two captures can be brought to one size
        out.append(
            "SET @chunk = (SELECT IF(COALESCE(MAX({k}), 0) < {n}, 1, CAST(POW(2, CEIL(LOG2((MAX({k}) + 1) / {n}))) AS UNSIGNED)) FROM {s});".format(
                k=quote(key), n=_digests.GROUPS, s=source
            )
        )
        group, number = "%s DIV @chunk" % quote(key), quote(key)
        early = "1" if until is None else "%s <= %d" % (quote(key), until)
    else:
        out.append("SET @chunk = 0;")
    out.append(
        "SELECT 'part', {i}, @chunk, g, COUNT(*), SUM(CAST(CONV(LEFT(h, 16), 16, 10) AS UNSIGNED)), COALESCE(MAX(k), '-'), e"
        " FROM (SELECT {g} AS g, {k} AS k, {e} AS e, {r} AS h FROM {s}{w}) t GROUP BY g, e;".format(
            i=index, g=group, k=number, e=early, r=row, s=source, w=where
        )
    )
    return out


def program(system):
    """The client's name, or None when there is no server of this kind on the host."""
    client = next((c for c in ("mariadb", "mysql") if system.which(c)), None)
    server = any(system.which(s) for s in ("mariadbd", "mysqld"))
    return client if client and server else None


def ask(system, client, statements):
    """Rows (lists of text) that the statements gave, and what the client said on its error stream."""
    argv = [client]
    if system.options.get("mysql_defaults_file"):
        argv.append("--defaults-extra-file=%s" % system.options["mysql_defaults_file"])
    argv += ["--protocol=socket", "--default-character-set=utf8mb4", "--batch", "--skip-column-names", "--quick", "--force"]
    script = "\n".join([SESSION] + list(statements)) + "\n"
    result = system.run(argv, timeout=3600, stdin=script.encode("utf-8", "surrogateescape"), check=False)
    return [line.split("\t") for line in result.text.split("\n") if line], result.error


def metadata(rows):
    """Plain data from the rows of METADATA: {version, dbs, tables, objects, users, known}."""
    out = {"version": "", "dbs": {}, "tables": {}, "objects": {}, "users": {}, "known": set()}
    for row in rows:
        tag, rest = row[0], row[1:]
        if tag == "version":
            out["version"] = rest[0]
        elif tag == "db":
            out["dbs"][unhex(rest[0])] = {"charset": _utf8(rest[1]), "collation": _utf8(rest[2])}
        elif tag == "table":
            out["tables"][(unhex(rest[0]), unhex(rest[1]))] = {
                "type": rest[2],
                "engine": rest[3],
                "collation": _utf8(rest[4]),
                "bytes": int(rest[5]),
                "columns": [],
                "structure": [],
                "primary": [],
            }
        elif tag in ("column", "index", "foreign"):
            table = out["tables"].get((unhex(rest[0]), unhex(rest[1])))
            if table is None:
                continue
            if tag == "column":
                table["columns"].append({"name": unhex(rest[2]), "kind": rest[3].lower(), "octets": int(rest[5]), "generated": "GENERATED" in rest[9].upper()})
                rest[6] = _utf8(rest[6])
            elif tag == "index" and unhex(rest[2]) == "PRIMARY":
                table["primary"].append(unhex(rest[4]))
            table["structure"].append([tag] + rest[2:])
        elif tag == "view":
            out["objects"][(unhex(rest[0]), unhex(rest[1]) + " (view)")] = ["view", _without_schema(unhex(rest[2])), unhex(rest[3])]
        elif tag in ("routine", "trigger", "event"):
            out["objects"][(unhex(rest[0]), unhex(rest[1]))] = [tag, unhex(rest[2]), unhex(rest[3])]
        elif tag == "parameter":
            known = out["objects"].get((unhex(rest[0]), unhex(rest[1])))
            if known:
                known[2] += ", " + unhex(rest[2])
        elif tag == "user":
            out["users"].setdefault(unhex(rest[0]), {"privileges": {}}).update(plugin=rest[1], secret=unhex(rest[2]))
        elif tag == "grant":
            _grant(out["users"], rest)
        elif len(row) == 3 and tag != "end":
            out["known"].add(tag.upper())
    return out


def _utf8(name):
    # 10.6 began to call utf8 by its full name: the same thing
    return re.sub(r"^utf8(?=_|$)", "utf8mb3", name)


def _without_schema(text):
    return re.sub(r"\s+", " ", text)


def _grant(users, rest):
    grantee = re.sub(r"^'(.*)'@'(.*)'$", r"\1@\2", unhex(rest[0]))
    user = users.setdefault(grantee, {"privileges": {}, "plugin": "", "secret": ""})
    names = {part.strip().upper() for part in rest[2].split(",")} - {"USAGE", ""}
    if rest[3] in ("YES", "Y"):
        names.add("GRANT OPTION")
    if names:
        have = user["privileges"].setdefault(unhex(rest[1]), [])
        have[:] = sorted(set(have) | names)


def capture(system, rules):
    """Items of the local server, or None when there is none. A server that doesn't answer is an item with an error."""
    client = program(system)
    if not client:
        return None
    try:
        found = _look(system, client, METADATA[:-1] + RIGHTS, CUSTOMERS)
    except IntactError as exc:
        return {NAME: {"kind": "server", "error": str(exc)}}
    items = dict(_accounts(system, found), **_inside(found))
    items.update(_tables(system, client, found["tables"], rules))
    return items


def database_items(system, client, schema, rules):
    """Items of one database: itself, its tables, views, routines, triggers and events. A reader of dumps asks for them one by one."""
    # information_schema compares names without regard to case and blanks at their end
    found = _look(system, client, METADATA, "= CONVERT(0x%s USING utf8mb4)" % schema.encode("utf-8", "surrogateescape").hex())
    found["dbs"] = {name: value for name, value in found["dbs"].items() if name == schema}
    for what in ("tables", "objects"):
        found[what] = {key: value for key, value in found[what].items() if key[0] == schema}
    return dict(_inside(found), **_tables(system, client, found["tables"], rules))


def account_items(system, client):
    """Items of the server itself and of its users."""
    return _accounts(system, _look(system, client, METADATA[:1] + RIGHTS, ""))


def _look(system, client, questions, which):
    rows, said = ask(system, client, [s.format(which=which) + ";" for s in questions])
    if ["end"] not in rows:
        raise IntactError(said.splitlines()[-1] if said else "no answer")
    return metadata(rows)


def _accounts(system, found):
    items = {NAME: {"kind": "server", "version": found["version"], "known": sorted(found["known"])}}
    for name, user in found["users"].items():
        if name.split("@")[0] not in ("mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC"):
            items["%s user %s" % (NAME, escape(name))] = {
                "kind": "user",
                # a user without a password has no plugin on some servers, and the default one on others
                "plugin": user.get("plugin") or "mysql_native_password",
                "secret": _digests.keyed(system, user["secret"]) if user.get("secret") else "",
                "privileges": {escape(k): v for k, v in user["privileges"].items()},
            }
    return items


def _inside(found):
    items = {_subject(name): dict(value, kind="database") for name, value in found["dbs"].items()}
    for (schema, name), (kind, text, more) in found["objects"].items():
        items[_subject(schema, name)] = {"kind": kind, "definition": _digests.definition(text), "properties": more, "database": escape(schema)}
    return items


def _subject(schema, name=None):
    return "%s:%s" % (NAME, escape(schema)) if name is None else "%s:%s.%s" % (NAME, escape(schema), escape(name))


def _tables(system, client, tables, rules):
    """Items of tables and views, counted and digested in one consistent snapshot."""
    items, order, statements = {}, [], ["START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;"]
    limit = int(system.options.get("table_bytes", 4 * 2**30))
    for (schema, name), table in sorted(tables.items()):
        subject = _subject(schema, name)
        if table["type"] not in STORED:
            if table["type"] == "SEQUENCE":
                items[subject] = {"kind": "sequence", "database": escape(schema)}
            elif table["type"] == "VIEW":
                # a view whose tables are gone is still listed: only using it tells
                order.append((subject + " (view)", None))
                statements += [
                    "SELECT 'view', %d FROM (SELECT 1) t WHERE NOT EXISTS (SELECT 1 FROM %s.%s LIMIT 0);" % (len(order) - 1, quote(schema), quote(name))
                ]
            continue
        item = {
            "kind": "table",
            "database": escape(schema),
            "engine": table["engine"],
            "collation": table["collation"],
            "structure": _digests.short(repr(table["structure"])),
        }
        items[subject] = item
        if table["engine"].upper() in ("MEMORY", "BLACKHOLE", "FEDERATED", "CONNECT", "SPIDER"):
            # not stored on this host, or lost at every restart by design
            item["rows"], item["stored"] = 0, False
            continue
        condition, left_out, counted = _digests.volatile("%s.%s" % (schema, name), [c["name"] for c in table["columns"]], rules)
        if not counted:
            item["rows"], item["stored"] = 0, False
            continue
        key = table["primary"][0] if len(table["primary"]) == 1 else None
        if key and not any(c["name"] == key and c["kind"] in NUMBERS for c in table["columns"]):
            key = None
        top = _digests.until(system, subject) if key else None
        made = digest_statements(len(order), schema, name, table["columns"], key, condition, left_out, top)
        if table["bytes"] > limit or not system.spend(table["bytes"]):
            system.skip(subject, "%d bytes are more than the limit: its rows were counted, their content was not digested" % table["bytes"])
            made, key = made[:1], None
        else:
            item.update(parts=[], chunk=0, key=escape(key) if key else "", earlier=top)
        order.append((subject, item))
        statements += made
    rows, said = ask(system, client, statements + ["COMMIT;", "SELECT 'end';"])
    if ["end"] not in rows:
        raise IntactError("the database server stopped answering while its tables were read: %s" % said)
    _fill(order, rows, items, said)
    return items


def _fill(order, rows, items, said):
    answered = set()
    for row in rows:
        if row[0] == "end":
            continue
        subject, item = order[int(row[1])]
        if row[0] == "rows":
            item["rows"] = int(row[2])
        elif row[0] == "part":
            item["chunk"] = int(row[2])
            item["parts"].append((int(row[3]), int(row[4]), row[5], None if row[6] == "-" else int(row[6]), row[7] == "1"))
        answered.add(subject)
    for subject, item in order:
        if item is None:
            if subject not in answered:
                items[subject] = dict(items.get(subject, {"kind": "view"}), error="it can't be read")
            continue
        if "parts" in item:
            item.update(_digests.contents(item.pop("parts"), item.pop("earlier")))
        if "rows" not in item or ("parts" in item and sum(p[1] for p in item["parts"]) != item["rows"]):
            words = [line for line in said.splitlines() if line.startswith("ERROR")]
            mine = [line for line in words if subject.rsplit(".", 1)[-1] in line] or words
            item.setdefault("rows", 0)
            item["error"] = mine[0] if mine else "it changed while it was read"
