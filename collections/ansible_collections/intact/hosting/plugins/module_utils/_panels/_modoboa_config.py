# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Where a Modoboa instance is and what its settings say, by files and without running them: they are a program."""

from __future__ import annotations

import ast
import glob
import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _tables

# Where people put instances; the first is the installer's.
INSTANCES = ("/srv/modoboa/instance", "/srv/*", "/srv/*/*", "/opt/*", "/opt/*/*", "/home/*/*", "/var/www/*", "/usr/local/*")
# What runs an instance names it, and its Python.
NAMED = ("/etc/cron.d/*", "/etc/supervisor/conf.d/*.conf", "/etc/uwsgi/apps-enabled/*", "/etc/systemd/system/*.service")
_INSTANCE = re.compile(r"(?m)^(?:INSTANCE|chdir)\s*=\s*(/\S+)|(?<=[\s=])(/[^\s=]+)/manage\.py")
_PYTHON = re.compile(r"(?m)^PYTHON\s*=\s*(/\S+)|^home\s*=\s*(/\S+)|(?<=[\s=])(/[^\s=]+/bin/python[\d.]*)(?=\s+/[^\s=]+/manage\.py)")
ENVIRONMENTS = ("../env", "../venv", "../.venv", "env", "venv", ".venv", "../virtualenv")
ENGINES = {"sqlite3": "sqlite", "mysql": "mysql", "postgresql": "postgresql", "postgresql_psycopg2": "postgresql"}
NO_PYTHON = "the Python that Modoboa runs in was not found: say PYTHON=/path/of/python in /etc/cron.d/modoboa, as its installer does"
UNITS = ("/etc/systemd/system/modoboa*.service", "/etc/systemd/system/gunicorn-modoboa*.service")


def _named(view, pattern):
    """Paths that a pattern finds in the files that run an instance."""
    texts = [(path, view.text(path)) for place in NAMED for path in view.glob(place)]
    ours = [text for path, text in texts if "modoboa" in (path + text).lower()]
    return [next(group for group in found if group) for text in ours for found in pattern.findall(text)]


def instance(view):
    """The instance's directory, or None."""
    for pattern in [glob.escape(path) for path in _named(view, _INSTANCE)] + list(INSTANCES):
        for path in view.glob(pattern.rstrip("/") + "/manage.py"):
            if settings_file(view, posixpath.dirname(path)):
                return posixpath.dirname(path)
    return None


def settings_file(view, directory):
    """The path of the settings that manage.py names, when they are Modoboa's; None otherwise."""
    match = re.search(r"DJANGO_SETTINGS_MODULE['\"],\s*['\"]([\w.]+)['\"]", view.text(directory + "/manage.py"))
    path = "%s/%s.py" % (directory, match.group(1).replace(".", "/")) if match else ""
    return path if path and "modoboa" in view.text(path) else None


def python(view, directory):
    """The Python of the environment that the instance runs in, or ""."""
    # of uwsgi it is the environment's directory
    given = [path if "/bin/python" in path else path.rstrip("/") + "/bin/python" for path in _named(view, _PYTHON)]
    places = [posixpath.normpath(posixpath.join(directory, env)) + "/bin/python" for env in ENVIRONMENTS]
    return next((path for path in given + places if view.exists(path)), "")


def version(view, program):
    """The version of the Modoboa in an environment, or ""."""
    for path in view.glob(posixpath.dirname(posixpath.dirname(program)) + "/lib/python3*/site-packages/modoboa-*.dist-info") if program else []:
        return posixpath.basename(path)[len("modoboa-") : -len(".dist-info")]
    return ""


def number(text):
    """A version as it is compared."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _assigned(text, name):
    """The node that a name is given at the top of the settings, or None."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as exc:
        raise IntactError("Modoboa's settings can't be read: %s" % exc) from exc
    found = None
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            found = node.value
    return found


def _literal(node):
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return None


def database(text):
    """The place of the default database."""
    node = _assigned(text, "DATABASES")
    held = {}
    for key, value in zip(node.keys, node.values) if isinstance(node, ast.Dict) else []:
        if _literal(key) == "default" and isinstance(value, ast.Dict):
            held = {_literal(k): _literal(v) for k, v in zip(value.keys, value.values)}
    engine = str(held.get("ENGINE") or "").rpartition(".")[2]
    if not held or not held.get("NAME") or not engine:
        raise IntactError("Modoboa's settings compute where the database is: write it into DATABASES")
    return _tables.of(ENGINES.get(engine, engine), held["NAME"], held.get("HOST"), held.get("PORT"))


def secret_key(text):
    """SECRET_KEY, or "" when it is computed."""
    value = _literal(_assigned(text, "SECRET_KEY"))
    return value if isinstance(value, str) else ""


def with_secret_key(text, key):
    """The settings with another SECRET_KEY."""
    node = _assigned(text, "SECRET_KEY")
    if node is None or node.lineno != node.end_lineno:
        raise IntactError("SECRET_KEY is not one line in Modoboa's settings here: set it to the export's by hand")
    lines = text.splitlines(keepends=True)
    lines[node.lineno - 1] = "SECRET_KEY = %r\n" % key
    return "".join(lines)


def environment(text):
    """{name: value} of .env; a quoted value may go over several lines."""
    out = {}
    for match in re.finditer(r"(?ms)^\s*(?:export\s+)?(\w+)\s*=\s*(?:\"(.*?)\"|'(.*?)'|([^\n]*))\s*?$", text):
        out[match.group(1)] = next((g for g in match.groups()[1:] if g is not None), "")
    return out


def services(view):
    """Units that run the instance: what a restore stops."""
    found = [posixpath.basename(path) for pattern in UNITS for path in view.glob(pattern)]
    if view.glob("/etc/uwsgi/apps-enabled/*modoboa*"):
        found.append("uwsgi.service")
    if view.glob("/etc/supervisor/conf.d/*modoboa*") or view.glob("/etc/supervisor/conf.d/policyd*"):
        found.append("supervisor.service")
    return found
