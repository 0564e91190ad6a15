# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""PostgreSQL: what the databases probe asks each local cluster, and how it reads the answers."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAME = "postgresql"
SESSION = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'; "
    "SET client_encoding = 'UTF8'; SET lock_timeout = '10s'; SET search_path = pg_catalog; SET row_security = off;\n"
)
USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
NOT_EXTENSION = "NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = {oid} AND d.classid = '{catalog}'::regclass AND d.deptype = 'e')"

GLOBALS = [
    "SELECT json_build_object('is', 'version', 'version', current_setting('server_version'))",
    "SELECT json_build_object('is', 'database', 'name', datname, 'owner', pg_get_userbyid(datdba), 'encoding', "
    "pg_encoding_to_char(encoding), 'collate', datcollate,"
    " 'ctype', datctype, 'connect', datallowconn, 'acl', datacl::text) FROM pg_database WHERE NOT datistemplate",
    "SELECT json_build_object('is', 'role', 'name', rolname, 'attributes', ARRAY[rolsuper, rolinherit, rolcreaterole, rolcreatedb, "
    "rolcanlogin, rolreplication, rolbypassrls]::text,"
    " 'secret', rolpassword, 'until', rolvaliduntil::text, 'limit', rolconnlimit) FROM pg_authid WHERE rolname !~ '^pg_'",
    "SELECT json_build_object('is', 'member', 'name', m.rolname, 'of', r.rolname, 'admin', bool_or(a.admin_option)) FROM "
    "pg_auth_members a JOIN pg_authid r ON r.oid = a.roleid"
    " JOIN pg_authid m ON m.oid = a.member WHERE m.rolname !~ '^pg_' GROUP BY m.rolname, r.rolname ORDER BY m.rolname, r.rolname",
    "SELECT json_build_object('is', 'end')",
]

CATALOG = [
    "SELECT json_build_object('is', 'relation', 'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, "
    "'owner', pg_get_userbyid(c.relowner),"
    " 'acl', c.relacl::text, 'unlogged', c.relpersistence = 'u', 'bytes', CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE 0 END,"
    " 'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,"
    " 'columns', (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
    "COALESCE(pg_get_expr(f.adbin, f.adrelid), '')) ORDER BY a.attnum)"
    "   FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum WHERE a.attrelid = c.oid AND "
    "a.attnum > 0 AND NOT a.attisdropped),"
    # not-null constraints are rows of their own only since 18: they are told by the columns
    " 'constraints', (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n'),"
    " 'indexes', (SELECT json_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid),"
    " 'key', (SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisprimary"
    "   AND i.indnatts = 1 AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)))"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'S', 'p', 'f') AND "
    + USER_SCHEMA
    + " AND "
    + NOT_EXTENSION.format(oid="c.oid", catalog="pg_class"),
    "SELECT json_build_object('is', 'routine', 'schema', n.nspname, 'name', p.proname || '(' || "
    "pg_get_function_identity_arguments(p.oid) || ')', 'owner', pg_get_userbyid(p.proowner),"
    " 'acl', p.proacl::text, 'definition', CASE WHEN p.prokind IN ('f', 'p', 'w') THEN pg_get_functiondef(p.oid) ELSE p.prosrc END) "
    "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE " + USER_SCHEMA + " AND " + NOT_EXTENSION.format(oid="p.oid", catalog="pg_proc"),
    "SELECT json_build_object('is', 'trigger', 'schema', n.nspname, 'name', c.relname || '.' || t.tgname, 'enabled', t.tgenabled, "
    "'definition', pg_get_triggerdef(t.oid)) FROM pg_trigger t"
    " JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND " + USER_SCHEMA,
    "SELECT json_build_object('is', 'schema', 'name', n.nspname, 'owner', pg_get_userbyid(n.nspowner), 'acl', n.nspacl::text) FROM pg_namespace n WHERE "
    + USER_SCHEMA,
    "SELECT json_build_object('is', 'large objects', 'n', count(*)) FROM pg_largeobject_metadata",
    "SELECT json_build_object('is', 'extension', 'name', extname, 'version', extversion) FROM pg_extension",
    "SELECT json_build_object('is', 'end')",
]

# as many rows as there are objects; their pages are digested
LARGE_OBJECTS = (
    "SELECT json_build_object('is', 'rows', 'i', %d, 'chunk', 0, 'n', (SELECT count(*) FROM pg_largeobject_metadata), 'parts', "
    "json_build_array(json_build_array(0, count(*), COALESCE(sum(('x' || left(md5(loid::text || '|' || pageno::text || '|' || md5(data)), 16))"
    "::bit(64)::bigint::numeric), 0)::text, NULL, true))) FROM pg_largeobject;"
)
# what a row is called in the questions: a table with a column of this name would be digested by that column alone
ROW = "intact_whole_row"
KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialised view", "S": "sequence", "f": "foreign table"}


def clusters(system):
    """The clusters on this host as dicts {version, name, port, status}, lowest port first; [] without PostgreSQL."""
    if not system.which("psql"):
        return []
    if not system.which("pg_lsclusters"):
        # not Debian's packaging: one server on the usual socket, if there is a server at all
        return [{"version": "", "name": "main", "port": "5432", "status": "online"}] if system.which("postgres") else []
    found = []
    for line in system.run(["pg_lsclusters", "-h"], check=False).text.splitlines():
        fields = line.split()
        if len(fields) >= 4:
            found.append({"version": fields[0], "name": fields[1], "port": fields[2], "status": fields[3]})
    return sorted(found, key=lambda c: int(c["port"]))


def literal(text):
    """An SQL string."""
    return "'%s'" % text.replace("'", "''")


def quote(name):
    """A name as SQL wants it."""
    return '"%s"' % name.replace('"', '""')


def ask(system, cluster, database, script, check=True):
    """The JSON rows that a psql script printed, and psql's error stream."""
    argv = ["runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=%d" % check, "-p", cluster["port"]]
    # a connection string, so that odd database names can't be taken for options
    argv += ["-d", "dbname='%s'" % database.replace("\\", "\\\\").replace("'", "\\'")]
    result = system.run(argv, timeout=3600, stdin=(SESSION + script).encode("utf-8", "surrogateescape"), check=False, env={"PGCONNECT_TIMEOUT": "10"})
    rows = [json.loads(line) for line in result.text.split("\n") if line.startswith("{")]
    if check and not any(row.get("is") == "end" for row in rows):
        raise IntactError("PostgreSQL %s/%s, database %s: %s" % (cluster["version"], cluster["name"], database, (result.error or "no answer").splitlines()[0]))
    return rows, result.error


def unqualified(text):
    """A view's text without the table names before its columns: since 16 they are printed only where they are needed."""
    tables = set()
    for match in re.finditer(r"\b(?:FROM|JOIN)\s+\(*(?:ONLY\s+)?(?:[\w\"]+\.)?([\w\"]+)(?:\s+(?:AS\s+)?([\w\"]+))?", text, re.IGNORECASE):
        tables.update(name for name in match.groups() if name)
    return re.sub(r"(?<![\w.\"])([\w\"]+)\.(?=[\w\"])", lambda m: "" if m.group(1) in tables else m.group(0), text)


def table_statements(index, row, digested, condition, left_out, until=None):
    """psql script lines that count and digest one table; the row's text form is the same in every version with SESSION's settings.

    The range of keys that holds the key until gives two parts: up to it, and after it.
    """
    source = "ONLY %s.%s" % (quote(row["schema"]), quote(row["name"]))
    if row["kind"] == "m":
        source = source[5:]
    where = " WHERE NOT COALESCE(%s, FALSE)" % condition if condition else ""
    if not digested:
        return ["SELECT json_build_object('is', 'rows', 'i', %d, 'n', count(*)) FROM %s %s%s;" % (index, source, ROW, where)]
    if left_out:
        columns = ", ".join(ROW + "." + quote(c[0]) for c in row["columns"] if c[0] not in left_out)
        value = "ROW(%s)::text" % columns
    else:
        value = ROW + "::text"
    group, number, early, chunk = "0", "NULL::bigint", "true", "0"
    lines = []
    if row["key"]:
        lines.append(
            "SELECT CASE WHEN COALESCE(max({k}), 0) < {n} THEN 1 ELSE pow(2, ceil(log(2, (max({k}) + 1) / {n}.0)))::bigint END AS chunk FROM {s} \\gset".format(
                k=quote(row["key"]), n=_digests.GROUPS, s=source
            )
        )
        number, chunk = ROW + "." + quote(row["key"]), ":chunk"
        group = number + " / :chunk"
        early = "true" if until is None else "%s <= %d" % (number, until)
    lines.append(
        "SELECT json_build_object('is', 'rows', 'i', {i}, 'chunk', {c}, 'n', COALESCE(sum(n), 0), 'parts', "
        "COALESCE(json_agg(json_build_array(g, n, s::text, m, e) ORDER BY g, e), '[]')) FROM"
        " (SELECT g, e, count(*) AS n, max(k) AS m, sum(('x' || left(h, 16))::bit(64)::bigint::numeric) AS s"
        " FROM (SELECT {g} AS g, {k} AS k, {e} AS e, md5({v}) AS h FROM {f} {r}{w}) a GROUP BY g, e) b;".format(
            i=index, c=chunk, g=group, k=number, e=early, v=value, f=source, r=ROW, w=where
        )
    )
    return lines


def capture(system, rules):
    """Items of all clusters, or None without any. Clusters that don't answer, databases that refuse, are items with an error."""
    found = clusters(system)
    if not found:
        return None
    items = {}
    for label, cluster in labelled(found):
        items.update(_cluster(system, cluster, label, rules))
    return items


def labelled(found):
    """[(label, cluster)]: what the subjects of each cluster begin with."""
    out, names = [], set()
    for cluster in found:
        # the cluster on the lowest port of its name is the one that applications use; another one of that name is told by its version
        label = NAME if cluster["name"] == "main" else "%s(%s)" % (NAME, cluster["name"])
        if label in names:
            label = "%s(%s/%s)" % (NAME, cluster["version"], cluster["name"])
        names.add(label)
        out.append((label, cluster))
    return out


def _cluster(system, cluster, label, rules):
    server = {"kind": "server", "unit": _unit(cluster)}
    if not cluster["status"].startswith("online"):
        return {label: dict(server, error="the cluster %s/%s is %s" % (cluster["version"], cluster["name"], cluster["status"]))}
    try:
        items, databases = cluster_items(system, cluster, label)
    except IntactError as exc:
        return {label: dict(server, error=str(exc))}
    for name in databases:
        try:
            items.update(database_items(system, cluster, label, name, rules))
        except IntactError as exc:
            items.setdefault("%s:%s" % (label, escape(name)), {"kind": "database"})["error"] = str(exc)
    return items


def _unit(cluster):
    return "postgresql@%s-%s.service" % (cluster["version"], cluster["name"])


def cluster_items(system, cluster, label, database="postgres"):
    """Items of the server, its roles and its databases as such, and the names of the databases that let somebody in."""
    rows, _said = ask(system, cluster, database, "\n".join(s + ";" for s in GLOBALS) + "\n")
    server = {"kind": "server", "unit": _unit(cluster)}
    items, databases = {label: server}, []
    for row in rows:
        name = escape(row.get("name") or "")
        if row["is"] == "version":
            server["version"] = row["version"]
        elif row["is"] == "role":
            items["%s role %s" % (label, name)] = {
                "kind": "role",
                "attributes": row["attributes"],
                "secret": _digests.keyed(system, row["secret"]) if row["secret"] else "",
                "until": row["until"],
                "connections": row["limit"],
                "member_of": [],
            }
        elif row["is"] == "member" and "%s role %s" % (label, name) in items:
            items["%s role %s" % (label, name)]["member_of"].append(escape(row["of"]) + (" (admin)" if row["admin"] else ""))
        elif row["is"] == "database":
            if row["connect"]:
                databases.append(row["name"])
            # the database postgres is everybody's: only what is in it matters
            if row["name"] != "postgres":
                items["%s:%s" % (label, name)] = {
                    "kind": "database",
                    "owner": row["owner"],
                    "charset": row["encoding"],
                    "collation": row["collate"],
                    "acl": _acl(row["acl"]),
                }
    return items, databases


def _acl(text):
    # 17 added a MAINTAIN privilege ("m") that owners get by themselves
    return ",".join(sorted(entry.replace("m", "") if "=" not in entry else _entry(entry) for entry in (text or "").strip("{}").split(","))) if text else ""


def _entry(entry):
    grantee, rest = entry.split("=", 1)
    rights, slash, grantor = rest.partition("/")
    return "%s=%s%s%s" % (grantee, rights.replace("m", ""), slash, grantor)


def database_items(system, cluster, label, database, rules):
    """Items of what is inside one database."""
    script = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n" + "\n".join(s + ";" for s in CATALOG) + "\nCOMMIT;\n"
    rows, _said = ask(system, cluster, database, script)
    items, tables, script = {}, [], ["\\set ON_ERROR_ROLLBACK on", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"]
    where = "%s:%s" % (label, escape(database))
    for row in rows:
        if row["is"] == "end" or (row["is"] == "schema" and row["name"] == "public"):
            continue
        inside = {"database": escape(database)}
        if row["is"] == "extension":
            # its version follows the server's: only its presence is compared
            items["%s extension %s" % (where, escape(row["name"]))] = dict(inside, kind="extension")
        elif row["is"] == "schema":
            items["%s.%s (schema)" % (where, escape(row["name"]))] = dict(inside, kind="schema", owner=row["owner"], acl=_acl(row["acl"]))
        elif row["is"] == "large objects":
            if row["n"]:
                item = items[where + " (large objects)"] = dict(inside, kind="large objects", key="")
                script.append(LARGE_OBJECTS % len(tables))
                tables.append(item)
        elif row["is"] in ("routine", "trigger"):
            subject = "%s.%s.%s%s" % (where, escape(row["schema"]), escape(row["name"]), " (trigger)" if row["is"] == "trigger" else "")
            items[subject] = dict(
                inside,
                kind=row["is"],
                definition=_digests.definition(row["definition"]),
                owner=row.get("owner", ""),
                acl=_acl(row.get("acl")),
                enabled=row.get("enabled", ""),
            )
        elif row["is"] == "relation":
            subject = "%s.%s.%s" % (where, escape(row["schema"]), escape(row["name"]))
            kind = KINDS[row["kind"]]
            item = items[subject] = dict(inside, kind=kind, owner=row["owner"], acl=_acl(row["acl"]))
            if row["definition"]:
                item["definition"] = _digests.definition(unqualified(row["definition"]))
            if row["kind"] in ("r", "p", "m"):
                item["structure"] = _digests.short(json.dumps([row["columns"], row["constraints"], row["indexes"]]))
            index = len(tables)
            if row["kind"] in ("r", "m"):
                condition, left_out, counted = _digests.volatile("%s.%s" % (database, row["name"]), [c[0] for c in row["columns"] or []], rules)
                if not counted or row["unlogged"]:
                    # an unlogged table is emptied by a crash, by design
                    item.update(rows=0, stored=False)
                    continue
                fits = row["bytes"] <= int(system.options.get("table_bytes", 4 * 2**30)) and system.spend(row["bytes"])
                if not fits:
                    system.skip(subject, "%d bytes are more than the limit: its rows were counted, their content was not digested" % row["bytes"])
                item["key"] = escape(row["key"] or "") if fits else ""
                top = _digests.until(system, subject) if item["key"] else None
                if top is not None:
                    item["earlier"] = top
                script += table_statements(index, row, fits, condition, left_out, top)
            elif row["kind"] == "S":
                script.append(
                    "SELECT json_build_object('is', 'sequence', 'i', %d, 'value', last_value) FROM %s.%s;" % (index, quote(row["schema"]), quote(row["name"]))
                )
            elif row["kind"] == "v":
                script.append(
                    "SELECT json_build_object('is', 'view', 'i', %d) FROM (SELECT 1) x WHERE NOT EXISTS (SELECT 1 FROM %s.%s LIMIT 0);"
                    % (index, quote(row["schema"]), quote(row["name"]))
                )
            else:
                continue
            tables.append(item)
    if tables:
        answers, said = ask(system, cluster, database, "\n".join(script + ["COMMIT;", "SELECT json_build_object('is', 'end');"]) + "\n", check=False)
        _fill(tables, answers, said)
    return items


def _fill(tables, answers, said):
    answered = set()
    for row in answers:
        if row["is"] == "end":
            continue
        item = tables[row["i"]]
        answered.add(row["i"])
        if row["is"] == "sequence":
            item["value"] = row["value"]
        elif row["is"] == "rows":
            item["rows"] = int(row["n"])
            if "parts" in row:
                item.update(_digests.contents(row["parts"], item.pop("earlier", None)), chunk=int(row["chunk"]))
    lost = [i for i in range(len(tables)) if i not in answered]
    words = [line for line in said.splitlines() if "ERROR" in line or "FATAL" in line]
    for index in lost:
        tables[index]["error"] = words[lost.index(index)] if len(words) == len(lost) else (words or ["it can't be read"])[0]
        if tables[index]["kind"] in ("table", "materialised view", "large objects"):
            tables[index].setdefault("rows", 0)
