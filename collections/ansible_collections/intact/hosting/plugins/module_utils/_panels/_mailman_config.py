# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mailman 3's configuration, its program's places and its schema's revisions: by files, without starting anything."""

from __future__ import annotations

import configparser
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline.lists import CONFIG
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAME = "mailman"
UNIT = "mailman3"
PROGRAMS = ("/usr/bin/mailman", "/usr/lib/mailman3/bin/mailman", "/opt/mailman/venv/bin/mailman")
PACKAGES = ("/usr/lib/python3/dist-packages", "/opt/mailman/venv/lib/python3*/site-packages", "/usr/lib/python3*/site-packages")
# What mailman.cfg does not say, as the program's own schema says it.
PATHS = {
    "var_dir": "/var/lib/mailman3",
    "data_dir": "$var_dir/data",
    "template_dir": "$var_dir/templates",
    "archive_dir": "$var_dir/archives",
    "messages_dir": "$var_dir/messages",
}
# Files of an export.
COPY = {"sqlite": "mailman.db", "mysql": "mailman.sql", "postgresql": "mailman.sql"}
DATA, REST = "data.tar", "rest.json"
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def sections_of(text):
    """{section: {key: value}} of mailman.cfg."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error as exc:
        raise IntactError("%s can't be read: %s" % (CONFIG, str(exc).splitlines()[0])) from exc
    return {name: dict(parser.items(name)) for name in parser.sections()}


def paths_of(sections):
    """The directories that a configuration names, variables filled in."""
    layout = (sections.get("mailman") or {}).get("layout") or "debian"
    out = dict(PATHS, **{k: v for k, v in (sections.get("paths." + layout) or {}).items() if v})
    for _depth in range(4):
        out = _filled(out)
    return out


def _filled(paths):
    return {key: _VARIABLE.sub(lambda m: paths.get(m.group(1), m.group(0)), value) for key, value in paths.items()}


def url_of(sections):
    """The database's URL, variables filled in; it may hold a password."""
    paths = paths_of(sections)
    url = (sections.get("database") or {}).get("url") or "sqlite:///$DATA_DIR/mailman.db"
    return _VARIABLE.sub(lambda m: paths.get(m.group(1).lower(), m.group(0)), url)


def shown(sections, place):
    """The configuration as it is compared: how a server's database is reached is this host's own matter, and holds a password."""
    held = {name: dict(keys) for name, keys in sections.items()}
    if place and held.get("database", {}).get("url"):
        held["database"]["url"] = "sqlite:///" + place["name"] if place["engine"] == "sqlite" else "%s of this host" % place["engine"]
    return held


def version(view):
    """The installed program's version."""
    for place in PACKAGES:
        for path in view.glob(place + "/mailman-*.*-info"):
            return path.rpartition("/mailman-")[2].rpartition(".")[0]
    return ""


def migrations(view):
    """{revision: the one before it} of the installed program."""
    out = {}
    for place in PACKAGES:
        for path in view.glob(place + "/mailman/database/alembic/versions/*.py"):
            told = dict(re.findall(r"^(revision|down_revision) = ['\"]([0-9a-f]+)", view.text(path), re.MULTILINE))
            if "revision" in told:
                out[told["revision"]] = told.get("down_revision", "")
    return out


def heads(known):
    """The revisions that no other one comes after."""
    return set(known) - set(known.values())


def revision(rows):
    """The schema's revision in a database's rows."""
    return ",".join(sorted(row["version_num"] for row in rows.get("alembic_version", [])))
