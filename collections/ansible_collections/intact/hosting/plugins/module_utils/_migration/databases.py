# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Phase databases: what the old disk's servers hold, dumped cold, loaded into the live servers and compared there by digests."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql_dump, _mysql_options, _postgresql, _postgresql_dump, _take
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _load_mysql, _load_postgresql

PHASE = "databases"
# where else data directories are put, and the file by which one is known
PLACES = ("/var/lib/*", "/var/*", "/srv/*", "/srv/*/*", "/opt/*", "/opt/*/*", "/usr/local/*", "/usr/local/*/*", "/home/*", "/home/*/*")
PLACES += ("/data*", "/data*/*", "/mnt/*/*")
KNOWN_BY = {"ibdata1": "MySQL or MariaDB", "mysql/db.MYD": "MySQL or MariaDB", "mysql/db.frm": "MySQL or MariaDB", "global/pg_control": "PostgreSQL"}
# what starts a server with a directory of its own
STARTED_BY = ("/etc/my.cnf*", "/etc/mysql/*", "/etc/mysql/*/*", "/etc/my.cnf.d/*", "/etc/default/*", "/etc/init.d/*", "/etc/rc.local", "/etc/systemd/system/*")
STARTED_BY += ("/etc/systemd/system/*/*", "/etc/postgresql/*/*/postgresql.conf", "/etc/sysconfig/*", "/etc/sysconfig/*/*")
LOADERS = {_mysql_dump.KIND: _load_mysql.Mysql, _postgresql_dump.KIND: _load_postgresql.Postgresql}


def sources(context):
    """[{name, kind, datadir}] of every data directory on the old disk."""
    view, out = _take.view_of(context.root), []
    found = _mysql_options.locate(view)
    if found:
        out.append({"name": "mysql", "kind": _mysql_dump.KIND, "datadir": found["datadir"]})
    for place in _postgresql.clusters(view):
        name = "postgresql" + re.sub(r"[^A-Za-z0-9.]+", "-", place)
        out.append({"name": name, "kind": _postgresql_dump.KIND, "datadir": place})
    return out


def others(context, taken):
    """[(directory, server, the file that names it or "")] of data directories on the old disk that are not among these ones."""
    view, out = _take.view_of(context.root), {}
    taken = {view.realpath(source["datadir"]) for source in taken}
    for place in PLACES:
        for name, server in KNOWN_BY.items():
            for path in view.glob(place + "/" + name):
                real = view.realpath(path[: -len(name) - 1])
                if real not in taken:
                    out.setdefault(real, server)
    paths = [path for pattern in STARTED_BY for path in view.glob(pattern) if os.path.isfile(view.place(path))] if out else []
    texts = {path: view.read(path, 1 << 20) or b"" for path in paths}
    return [(real, server, next((path for path, text in texts.items() if _names(text, real)), "")) for real, server in sorted(out.items())]


def _names(text, place):
    """Whether a configuration (bytes) starts a server on a directory: a customer's home is named in many, and its owner may put there what he likes."""
    words = rb"^[^#;\n]*(?:data_?dir(?:ectory)?\s*[=:]?|-D|PGDATA\s*=)[\s='\"]*" + re.escape(os.fsencode(place)) + rb"/?(?![\w./-])"
    return re.search(words, text, re.MULTILINE | re.IGNORECASE) is not None


def dest_of(context, source):
    """Where the dumps of a data directory are."""
    return os.path.join(context.directory, PHASE + ".d", source["name"])


def settings_of(context, source):
    """The _take.Settings of a data directory; settings databases_how databases_scratch databases_dangerous databases_only, and the migration's token."""
    told = context.settings
    return _take.Settings(
        root=context.root,
        kind=source["kind"],
        dest=dest_of(context, source),
        datadir=source["datadir"],
        directory=told.get("databases_scratch") or _take.SCRATCH,
        how=told.get("databases_how") or "auto",
        databases=list((told.get("databases_only") or {}).get(source["kind"], [])),
        dangerous=list(told.get("databases_dangerous") or []),
        token=told.get("token") or "",
    )


def run(context, check=False):
    """The phase's document. In check mode: status would-run, and plan [{datadir kind bytes program existing}]."""
    began, found = int(time.time()), sources(context)
    document = {"phase": PHASE, "status": "running", "started": began, "finished": 0, "counts": {}, "findings": [], "explained": []}
    counts = dict.fromkeys(("databases", "tables", "rows", "accounts", "damaged"), 0)
    for place, server, by in others(context, found):
        title = "a data directory of %s that %s: nothing of it was brought" % (server, ("%s names" % by) if by else "no configuration of the old disk names")
        remedy = "look what it holds (module cold_database, datadir), bring what is wanted by hand, then waive this"
        _add(document, "another", "blocker" if by else "warning", place, title, "", remedy)
    if check:
        document.update(status="would-run", plan=[_foretold(context, source, document) for source in found])
        return document
    for source in found:
        try:
            _one(context, source, document, counts)
        except (IntactError, OSError) as exc:
            _add(document, "failed", "blocker", source["datadir"], "these databases were not brought", str(exc), "see what it says; the phase can be run again")
    document["counts"] = counts
    failed = any(finding["severity"] == "blocker" for finding in document["findings"])
    document.update(status="failed" if failed else "done", finished=int(time.time()))
    return document


def _foretold(context, source, document):
    out = {"datadir": escape(source["datadir"]), "kind": source["kind"]}
    try:
        out.update(_take.plan(settings_of(context, source)))
        LOADERS[source["kind"]](context, dest_of(context, source)).check()
    except IntactError as exc:
        _add(document, "refused", "blocker", source["datadir"], "these databases can't be brought", str(exc), "do what it says first")
    return out


def _add(document, kind, severity, subject, title, evidence, remedy):
    made = Finding(id="databases.migrate." + kind, severity=severity, subject=escape(subject), title=title, evidence=evidence[:600], remedy=remedy)
    document["findings"].append(made.as_dict())


def _one(context, source, document, counts):
    settings, dest = settings_of(context, source), dest_of(context, source)
    os.makedirs(os.path.dirname(dest), mode=0o700, exist_ok=True)
    loader = LOADERS[source["kind"]](context, dest)
    loader.check()
    # what is half loaded comes from this dump: it is not made anew while it is whole
    dumped = _take.kept(settings) or (loader.begun() and _whole(dest, settings)) or _take.take(settings, context.tell)
    document["findings"] += dumped["findings"]
    for line in dumped["said"]:
        _add(document, "opened", "info", source["datadir"], "how the databases were opened", line, "none")
    loader.load(dumped)
    document["findings"] += [finding.as_dict() for finding in loader.findings]
    document["explained"] += loader.explained
    for name, kept in dumped["databases"].items():
        counts["databases"] += name in loader.brought
        for entry in kept["tables"].values():
            counts["damaged"] += bool(entry["damaged"])
            if name in loader.brought and not entry["damaged"]:
                counts["tables"] += 1
                counts["rows"] += entry["rows"]
    counts["accounts"] += len(loader.accounts)


def _whole(dest, settings):
    document = _take.read(dest)
    ours = document and document["token"] == settings.token and _take.suits(settings, document)
    return document if ours and not _take.intact(dest, document) else None
