# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""ISPConfig 3: settings are rows of dbispconfig; there is no export of its own, so it is a dump, the panel's files and, in full, the customers' databases."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _ispconfig_tables, _measured, _ready, _sql_panel, _state
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.plugins.module_utils._panels import _panel_host as host

NAME, TITLE, MET = "ispconfig", "ISPConfig 3", "stand-in"
SOURCES = (
    "a mirror of ISPConfig 3 from 2023 (cyberkathosting/ispconfig3 at 47fb178), read only: install/sql/ispconfig3.sql, install/update.php, backup.inc.php",
    "no way back through a program is documented: a restore loads the dump, and the interface's Tools > Resync writes the services' configuration",
)
ROOT = "/usr/local/ispconfig"
CONFIG = ROOT + "/server/lib/config.inc.php"
INTERFACE = ROOT + "/interface/lib/config.inc.php"
CLIENTDB = ROOT + "/server/lib/mysql_clientdb.conf"
FILES = [ROOT, "/etc/postfix", "/etc/dovecot", "/etc/apache2", "/etc/nginx", "/etc/bind", "/etc/pure-ftpd", "/etc/php", "/etc/rspamd", "/etc/amavis"]
WITHOUT = [ROOT + "/" + part for part in ("server/temp", "interface/temp", "interface/cache", "server/cache", "security/ids.log")]
AT_WORK = r"(?:ispconfig_)?update\.(?:php|sh)|install\.php"
SETTINGS_ROOM = 512 << 20
ERRORS = (r"^\w+ \S*: ?exit \d+", r"[Ee]rror", r"was left out")


def detect(view):
    """By its files; which database it has stands in them."""
    text = view.text(CONFIG) or view.text(INTERFACE)
    if not text and not view.exists(ROOT + "/server") and not view.exists(ROOT + "/interface"):
        return None
    version = re.search(r"define\(\s*'ISPC_APP_VERSION'\s*,\s*'([^']*)'", text)
    return {"version": version.group(1) if version else "", "root": ROOT, "database": _php(text).get("db_database") or "dbispconfig"}


def _php(text):
    """{name: value} of PHP's assignments of texts: $conf['name'] = '...' and $name = '...'."""
    found = re.findall(r"^\s*\$(?:conf\[['\"](\w+)['\"]\]|(\w+))\s*=\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*;", text, re.M)
    return {one or other: re.sub(r"\\(['\"\\])", r"\1", single or double) for one, other, single, double in found}


def login(view, found):
    """The administrator of the customers' databases; without one, the panel's own user."""
    held = _php(view.text(CLIENTDB))
    if held.get("clientdb_user") and held.get("clientdb_host", "localhost") in ("localhost", "127.0.0.1"):
        return mysql.Login(held["clientdb_user"], held.get("clientdb_password", ""))
    held = _php(view.text(CONFIG))
    return mysql.Login(held["db_user"], held.get("db_password", "")) if held.get("db_user") else mysql.Login()


def inventory(system, found, query=None):
    """Rows of the panel's database, and what the customers' databases hold."""
    ask, unlooked = query or mysql.asking(system, login(system, found)), []
    objects = _ispconfig_tables.objects(_sql_panel.asked(ask, found["database"], _ispconfig_tables.WANTED))
    names = [name for name, entry in objects.get("database", {}).items() if entry.get("type", "mysql") == "mysql"]
    measured = {"database": _measured.databases(ask, names, unlooked)}
    host_name, route = _state.host_of(system)[0], {"kind": "sql", "of": found["database"]}
    return _measured.beside(_inventory.make(NAME, found["version"], host_name, route, objects, unlooked), measured)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """An update at work, a server that refuses, no room, keys that are gone."""
    out = [_ready.busy(NAME, program, "it runs as process %d" % number) for number, program in host.at_work(system, AT_WORK)]
    ask = mysql.asking(system, login(system, found))
    refused = mysql.refused(NAME, ask)
    data = mysql.size(ask, _customers(ask, found)) if mode == "full" and not refused else 0
    out += refused + _ready.rooms(system, NAME, [(where, SETTINGS_ROOM + 2 * data, "the panel's files, and twice the customers' databases in a full export")])
    return out + _sql_panel.gone(NAME, system, keys(system, found))


def _customers(ask, found):
    """Names of the customers' databases of MariaDB or MySQL."""
    rows = mysql.rows(ask, found["database"], {"web_database": ("database_name", "type")})
    return [row["database_name"] for row in rows.get("web_database", ()) if row.get("type", "mysql") == "mysql"]


def keys(view, found):
    """The logins of its databases; its own certificate."""
    return [CONFIG, CLIENTDB] + [path for path in (INTERFACE, ROOT + "/interface/ssl/ispserver.key") if view.exists(path)]


def export(system, found, mode, target, say):
    """A dump of the panel's database, its files and the services' configuration; in mode full also a dump of each customer's database."""
    known = login(system, found)
    names = [found["database"]] + (_customers(mysql.asking(system, known), found) if mode == "full" else [])
    out, said, worst = _sql_panel.dumps(system, known, names, target, say)
    files, lines = _sql_panel.pack(system, target, FILES, WITHOUT, keys(system, found))
    if mode == "full":
        lines.append("sites and mail are no part of this export: host_backup's classes files and mail have them")
    return {"files": out + files, "said": said + lines, "rc": worst}


def verify(opened, inventory, mode):
    """The panel's dump row by row, the customers' dumps, the files and the keys."""
    found = _sql_panel.complaints(NAME, opened, "database", ERRORS)
    dump = _sql_panel.dump_name(inventory["route"].get("of", ""))
    broken, rows = _sql_panel.panel_rows(NAME, opened, dump, _ispconfig_tables.WANTED)
    seen = _inventory.make(NAME, inventory["version"], inventory["host"], {"kind": "sql", "of": dump}, _ispconfig_tables.objects(rows))
    found += broken + _inventory.compare(inventory, seen)
    if mode == "full":
        found += _sql_panel.customers(NAME, opened, inventory)
    return found + _sql_panel.files(NAME, opened, (CONFIG, CLIENTDB))


def checkpoint(system, found):
    """What a restore changes: the panel's database and files. Services are written again by the panel, from what it then holds."""
    paths = [ROOT, "/etc/postfix", "/etc/dovecot", "/etc/apache2", "/etc/nginx", "/etc/bind", "/etc/pure-ftpd"]
    return {"paths": paths, "databases": [{"engine": "mysql", "name": found["database"]}], "services": []}


def restore(system, found, opened, say):
    """The dump of the panel's database goes back. Its files stay as they are on this host: they belong to the version that is installed."""
    name = next((name for name in opened.names("dump") if name == _sql_panel.dump_name(found["database"])), None)
    if name is None:
        return {"said": ["the export has no dump of %s" % found["database"]], "rc": 1}
    say("loading %s" % found["database"])
    status, lines = mysql.load(system, login(system, found), found["database"], opened.files[name])
    return {"said": lines + ["have the panel write the services' configuration again: Tools > Resync in its interface"], "rc": status}


def repair(system, found):
    """The database server's check of the panel's tables; the panel has no tool of its own."""
    return _sql_panel.check(NAME, system, login(system, found), found["database"])


def daily(view, found):
    """What the panel's updates left: a dump without the tables' definitions, its files and /etc."""
    out = []
    pattern = ("/var/backup/ispconfig_*/ispconfig_db_backup.sql", "/root/ispconfig_db_backup_*.sql")
    for path in sorted(path for one in pattern for path in view.glob(one)):
        state = view.lstat(path)
        if state:
            made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.st_mtime))
            lacks = ["definitions of tables: its rows need an installed panel of the same version", "what was made after that update", "customers' databases"]
            out.append({"path": path, "made": made, "holds": ["rows of %s" % found["database"]], "lacks": lacks})
    return out


def rescue(view, found, query, target):
    """From a disk: a dump made of the answers of its database, the panel's files, its keys."""
    file = _sql_panel.dump_name(found["database"])
    tables = _sql_panel.by_query(query, found["database"], os.path.join(target, file))
    files, said = _sql_panel.pack(view, target, FILES, WITHOUT, keys(view, found))
    return {"files": [{"name": file, "role": "dump"}] + files, "said": said + ["%d tables of %s were read" % (tables, found["database"])], "rc": 0}
