# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Runtimes: PHP's extensions for each way it is run, Python environments, gems and modules put in by hand, interpreters that services name (QF21)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin, _schedule, _venvs
from ansible_collections.intact.hosting.plugins.module_utils._baseline._runtimes_compare import compare
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

__all__ = ["SECTION", "capture", "compare"]
SECTION = "runtimes"
# How PHP is run: programs of Debian, of Remi's and cPanel's collections and of Plesk, and the version in their paths.
PHPS = (
    ("fpm", "/usr/sbin/php-fpm[0-9]*", r"php-fpm([\d.]+)$"),
    ("cli", "/usr/bin/php[0-9]*", r"php([\d.]+)$"),
    ("cgi", "/usr/bin/php-cgi[0-9]*", r"php-cgi([\d.]+)$"),
    ("fpm", "/opt/remi/php*/root/usr/sbin/php-fpm", r"/php(\d)(\d+)/"),
    ("fpm", "/opt/cpanel/ea-php*/root/usr/sbin/php-fpm", r"/ea-php(\d)(\d+)/"),
    ("fpm", "/opt/plesk/php/*/sbin/php-fpm", r"/php/([\d.]+)/"),
)
# Without a version in their names: where there is no other.
PLAIN = (("fpm", "/usr/sbin/php-fpm"), ("cli", "/usr/bin/php"))
APACHE = "/etc/apache2/mods-enabled/php*.load"
POOLS = "/etc/php/%s/fpm/pool.d/*.conf"
UNITS = "/etc/systemd/system/*.service"
CONFIGURATION = (
    UNITS,
    "/etc/cron.d/*",
    "/etc/crontab",
    "/var/spool/cron/crontabs/*",
    "/etc/uwsgi/apps-enabled/*",
    "/etc/supervisor/conf.d/*",
    "/etc/nginx/sites-enabled/*",
    "/etc/nginx/conf.d/*.conf",
    "/etc/apache2/sites-enabled/*",
    "/etc/apache2/conf-enabled/*",
    "/etc/apache2/mods-enabled/*.conf",
    "/etc/httpd/conf.d/*.conf",
)
NAMED = re.compile(
    r"^\s*(?:passenger_(?:ruby|python|nodejs)|Passenger(?:Ruby|Python|Nodejs)|PassengerDefaultRuby|ScriptInterpreterSource|FcgidWrapper)\s+[\"']?(/[^\s;\"']+)",
    re.M,
)
STARTED = re.compile(r"^\s*ExecStart(?:Pre)?\s*=\s*[-@:+!|]*(/\S+)", re.M)
INTERPRETER = re.compile(r"/(python|ruby|node|nodejs|perl|php|bash|sh|java|deno|bun)[\d.]*$")


def capture(system):
    """Items: "PHP 8.2 fpm" {extensions, packages {extension: package}, complaints, pools}, "venv /srv/app/venv" {works, packages, used_by},
    "Python modules of /usr/local" and "Ruby gems of /var/lib/gems" {version, names}, "interpreter /usr/bin/ruby3.1" {there, used_by}.

    Option trees: where Python environments are looked for.
    """
    texts = {}
    for pattern in CONFIGURATION:
        for path in system.glob(pattern):
            try:
                texts[path] = system.text(path)
            except OSError:
                continue  # a directory, or gone
    items = dict(_php(system))
    for path, item in sorted(_venvs.find(system, system.options.get("trees", _venvs.TREES)).items()):
        name = escape(path)
        items["venv " + name] = dict(
            item, used_by=sorted(escape(file) for file, text in texts.items() if path.decode("utf-8", "surrogateescape") + "/" in text)
        )
    items.update(_by_hand(system))
    items.update(_interpreters(system, texts))
    kinds = {kind: sum(1 for name in items if name.startswith(kind + " ")) for kind in ("PHP", "venv", "interpreter")}
    return {"items": items, "summary": {"ways to run PHP": kinds["PHP"], "Python environments": kinds["venv"], "interpreters named": kinds["interpreter"]}}


def _php(system):
    programs = {}
    for way, pattern, version in PHPS:
        for path in system.glob(pattern):
            found = re.search(version, path)
            if found:
                programs["PHP %s %s" % (".".join(found.groups()), way)] = [path]
    for way, path in PLAIN:
        if system.exists(path) and not any(name.startswith("PHP ") and name.endswith(" " + way) for name in programs):
            programs["PHP %s" % way] = [path]
    for path in system.glob(APACHE):
        found = re.search(r"/php([\d.]+)\.load$", path)
        if found and system.exists("/usr/bin/php" + found.group(1)):
            # Apache's module reads a directory of its own, and the same extensions
            programs["PHP %s apache2" % found.group(1)] = ["/usr/bin/php" + found.group(1), "-c", "/etc/php/%s/apache2" % found.group(1)]
    brought = {}
    if programs:
        for path, package in _origin.owned(system, [b"/usr/lib/php"]).items():
            if path.endswith(b".so"):
                brought[path.rpartition(b"/")[2][:-3].decode("utf-8", "replace"), package.partition("-")[0]] = package
    for name, argv in sorted(programs.items()):
        version = name.split()[1]
        env = {"PHP_INI_SCAN_DIR": "/etc/php/%s/apache2/conf.d" % version} if name.endswith(" apache2") else None
        result = system.run(argv + ["-m"], timeout=60, env=env, check=False)
        text = result.text + "\n" + result.err.decode("utf-8", "surrogateescape")
        extensions = modules(result.text)
        if not extensions:
            system.skip(name, "%s -m named no extension: %s" % (argv[0], (result.error.splitlines() or ["status %d" % result.rc])[-1]))
            continue
        yield (
            name,
            {
                "extensions": extensions,
                "packages": {ext: brought[ext, "php" + version] for ext in extensions if (ext, "php" + version) in brought},
                "complaints": sorted(set(complaints(text))),
                "pools": pools(system.text(path) for path in system.glob(POOLS % version)) if name.endswith(" fpm") else [],
            },
        )


def modules(text):
    """Sorted names of extensions in the output of php -m, in small letters as their files are called. Pure."""
    out = set()
    for line in text.partition("[PHP Modules]")[2].splitlines():
        if line.strip() and not line.startswith("["):
            out.add(re.sub(r"^zend ", "", line.strip().lower()))
    return sorted(out)


def complaints(text):
    """What PHP says of its own start and that costs a function, without versions and directories. Pure."""
    for line in text.splitlines():
        found = re.search(r"(?:Warning|Error):\s+(?:PHP Startup: )?(.*)", line)
        if found and re.search(r"PHP Startup|[Uu]nable to load|Failed loading|cannot (?:be|open)", line):
            name = re.search(r"(?:dynamic library|Failed loading)\s+'?([^'\s(]+)", found.group(1))
            yield (
                "cannot load %s" % name.group(1).rpartition("/")[2].rstrip(":")
                if name
                else re.sub(r"\s+in (?:Unknown|/\S+) on line \d+", "", found.group(1))[:200]
            )


def pools(texts):
    """Sorted names of FPM's pools. Pure."""
    return sorted({name for text in texts for name in re.findall(r"^\s*\[([^\]]+)\]", text, re.M) if name != "global"})


def _by_hand(system):
    """What pip and gem put into the whole system: the next version of the language looks into another directory."""
    python = re.search(r"python(3\.\d+)$", system.realpath("/usr/bin/python3"))
    if python:
        names = [
            re.split(r"-\d", name)[0].lower().replace("_", "-")
            for directory in ("dist-packages", "site-packages")
            for name in system.listdir("/usr/local/lib/python%s/%s" % (python.group(1), directory))
            if name.endswith((".dist-info", ".egg-info"))
        ]
        yield "Python modules of /usr/local", {"version": python.group(1), "names": sorted(set(names))}
    ruby = re.search(r"ruby(\d+\.\d+)$", system.realpath("/usr/bin/ruby"))
    if ruby:
        names = [path.rpartition("/")[2] for path in system.glob("/var/lib/gems/%s.*/gems/*" % ruby.group(1))]
        yield "Ruby gems of /var/lib/gems", {"version": ruby.group(1), "names": sorted({escape(re.sub(r"-\d[^-]*(-.*)?$", "", name)) for name in names})}


def _interpreters(system, texts):
    """Interpreters that web servers' settings and local services name, and those that the services' own scripts need."""
    named = {}
    for file, text in sorted(texts.items()):
        wanted = [path for path in NAMED.findall(text) if INTERPRETER.search(path)]
        if file.endswith(".service"):
            wanted += [program if INTERPRETER.search(program) else _needed(system, program) for program in STARTED.findall(text)]
        for path in filter(None, wanted):
            named.setdefault(path, set()).add(escape(file))
    for path, files in sorted(named.items()):
        there = system.exists(path) and system.exists(system.realpath(path))
        yield "interpreter " + escape(path), {"there": there, "used_by": sorted(files)}


def _needed(system, program):
    """The interpreter in the first line of a script, or ""; a customer's path may be anything by now, only a plain file is opened."""
    real = system.realpath(program)
    st = system.lstat(real)
    if st is None or (st.st_mode & 0o170000) != 0o100000:
        return ""
    try:
        needs = _schedule.interpreter(system.read(real, 256) or b"")
    except (OSError, IntactError):
        return ""
    return needs if needs.startswith("/") else ""
