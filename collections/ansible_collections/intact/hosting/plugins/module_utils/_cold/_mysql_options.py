# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Where a disk's MySQL or MariaDB kept its data, and which of its settings another server must know to read it. Looks through a view."""

from __future__ import annotations

import posixpath
import re
import struct

from ansible_collections.intact.hosting.plugins.module_utils._command import run

FILES = ("/etc/my.cnf", "/etc/mysql/my.cnf", "/usr/local/mysql/my.cnf", "/var/lib/mysql/my.cnf")
GROUPS = re.compile(r"(?:mysqld|server|mariadbd?|mysqld-[\d.]+|mariadbd?-[\d.]+)\Z")
DATA = ("/var/lib/mysql", "/usr/local/mysql/data", "/usr/local/mysql/var", "/opt/mysql/data", "/var/db/mysql")
PROGRAMS = (
    "/usr/sbin/mariadbd",
    "/usr/sbin/mysqld",
    "/usr/libexec/mariadbd",
    "/usr/libexec/mysqld",
    "/usr/local/mysql/bin/mysqld",
    "/usr/local/mysql/libexec/mysqld",
    "/opt/mysql/bin/mysqld",
)
# without these another server would not find, or not understand, what is there
CARRIED = (
    "innodb_data_file_path innodb_page_size innodb_checksum_algorithm innodb_undo_tablespaces innodb_log_files_in_group innodb_log_file_size"
    " lower_case_table_names character_set_server collation_server"
).split()
# directories that may lie beside the data
PLACES = ("innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory", "aria_log_dir_path")
DEEPEST = 8
# in a .MYI: where its last clean moment's number of rows is
RECORDS = 28


def options(view):
    """{option: value} of a disk's server, as its own start would have read them; options without a value have ""."""
    out = {}
    for path in FILES:
        _read(view, path, out, 0)
    return out


def _read(view, path, out, depth):
    group = False
    for line in view.text(path).splitlines():
        line = line.strip()
        if line.startswith(("!includedir", "!include")) and depth < DEEPEST:
            word, _blank, place = line.partition(" ")
            below = [posixpath.join(place.strip(), name) for name in view.listdir(place.strip()) if name.endswith(".cnf")]
            for other in below if word == "!includedir" else [place.strip()]:
                _read(view, other, out, depth + 1)
        elif line.startswith("["):
            group = bool(GROUPS.match(line.strip("[] \t").lower()))
        elif group and line and line[0] not in "#;!":
            name, _equals, value = line.partition("=")
            out[re.sub(r"\Aloose_", "", name.strip().replace("-", "_").lower())] = _value(value)


def _value(text):
    text = text.strip()
    if text[:1] in ("'", '"'):
        return text[1:].partition(text[0])[0]
    return re.split(r"\s#", text, maxsplit=1)[0].strip()


def locate(view, datadir=""):
    """{datadir, settings: {option: value}, places: {option: directory}, programs: [path]} of a disk, or None without a server's data.

    datadir: where it is, when that is known.
    """
    told = options(view)
    for data in [datadir] if datadir else ([told["datadir"]] if told.get("datadir") else []) + list(DATA):
        data = posixpath.normpath(data)
        if any(view.exists(posixpath.join(data, name)) for name in ("ibdata1", "mysql")):
            break
    else:
        return None
    settings = {name: told[name] for name in CARRIED if told.get(name)}
    places = {}
    for name in PLACES:
        place = posixpath.normpath(posixpath.join(data, told.get(name) or "."))
        if place != data:
            places[name] = place
    log = told.get("log_bin", told.get("log-bin"))
    if log and not log.startswith("/") and view.exists(posixpath.join(data, log + ".index")):
        # by it the server knows which of its half-done transactions its clients were told of
        settings["log_bin"] = log
    return {"datadir": data, "settings": settings, "places": places, "programs": [path for path in PROGRAMS if view.exists(path)]}


def size(path):
    """Bytes that a directory takes."""
    done = run(["du", "-sB1", "--", path], timeout=3600, check=False)
    return int(done.text.split()[0]) if done.text.split() else 0


def outside(found):
    """Files of the data that are named by absolute paths, which no copy can carry."""
    entries = found["settings"].get("innodb_data_file_path", "").split(";")
    return [entry.partition(":")[0] for entry in entries if entry.startswith("/")]


def words(found, datadir, places):
    """Arguments for a server on a copy. places: {option: where its copy is}."""
    out = ["--datadir=" + datadir]
    out += ["--loose-%s=%s" % (name.replace("_", "-"), value) for name, value in sorted(found["settings"].items()) if name != "log_bin"]
    if "log_bin" in found["settings"]:
        out.append("--log-bin=" + found["settings"]["log_bin"])
    return out + ["--%s=%s" % (name.replace("_", "-"), place) for name, place in sorted(places.items())]


def records(path):
    """How many rows a MyISAM table had when it was last closed, of its .MYI; None when that can't be told. path: of the file."""
    try:
        with open(path, "rb") as handle:
            head = handle.read(RECORDS + 8)
    except OSError:
        return None
    if len(head) < RECORDS + 8 or head[:3] != b"\xfe\xfe\x07":
        return None
    return struct.unpack(">Q", head[RECORDS : RECORDS + 8])[0]


def file_name(name):
    """A table's or database's name as the server spells it in its directory; None for one that needs the server's own table of letters."""
    out = []
    for char in name:
        if char.isascii() and (char.isalnum() or char == "_"):
            out.append(char)
        elif char.isascii():
            out.append("@%04x" % ord(char))
        else:
            return None
    return "".join(out)
