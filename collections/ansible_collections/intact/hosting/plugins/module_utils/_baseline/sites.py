# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Sites: what every virtual host answers from its own listening addresses, over IPv4 and IPv6, seen as a visitor would."""

from __future__ import annotations

import concurrent.futures
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _http, _vhosts
from ansible_collections.intact.hosting.plugins.module_utils._baseline._sites_compare import compare
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

__all__ = ["SECTION", "capture", "compare"]
SECTION = "sites"
WORKERS = 4
# Files in or above a document root (or by site's name) that name an application's database.
APPLICATIONS = (
    "{root}/wp-config.php",
    "{root}/../wp-config.php",
    "/etc/wordpress/config-{name}.php",
    "/etc/wordpress/config-default.php",
    "{root}/LocalSettings.php",
    "{root}/configuration.php",
    "{root}/config/config.php",
    "{root}/sites/default/settings.php",
    "{root}/.env",
    "{root}/../.env",
)
DATABASE = re.compile(
    r"""(?:DB_NAME['"]?\s*,\s*|wgDBname\s*=\s*|['"]?(?:dbname|database)['"]?\s*=>?\s*|\$db\s*=\s*|^DB_DATABASE=)['"]?([\w$-]+)""", re.MULTILINE
)


def capture(system):
    """Items by site name. Options: paths {site: [path, ...]} asked besides /, normalise [{pattern, replace, reason}], names [more host names
    for the catch-all], timeout (seconds for one answer), max_body (bytes)."""
    sites = _vhosts.discover(system)
    if sites is None:
        return None
    compiled = _http.rules(system.options.get("normalise", []))
    extra = system.options.get("paths", {})
    more = {"timeout": int(system.options.get("timeout", 20)), "limit": int(system.options.get("max_body", 4 * 2**20))}
    for name in system.options.get("names", []):
        if name not in sites and sites:
            like = sites.get("_") or next(iter(sites.values()))
            sites[name] = dict(like)
    jobs = []
    for name, site in sorted(sites.items()):
        for address, port, tls in site["listen"]:
            for path in ["/"] + [p for p in extra.get(name, []) if p != "/"]:
                jobs.append((name, address, port, tls, path))

    def look(job):
        name, address, port, tls, path = job
        return _http.follow(system, _vhosts.local(address), port, tls, _vhosts.asked(name), path, compiled, **more)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        # the first look after a start fills the application's caches and may read differently
        warm = _one_each(pool, look, jobs)
        answers = list(pool.map(look, jobs))
        changing = [job for job, answer in zip(jobs, answers) if _differs(warm[_key(job)], answer)]
        # what still differs now is different each time: advertisements, counters, random testimonials
        again = _one_each(pool, look, changing)
    items, total = {}, 0
    for name, site in sites.items():
        items[escape(name)] = {
            "server": site["server"],
            "host": escape(site["first"]),
            "config": [escape(p) for p in site["config"]],
            "roots": [escape(p) for p in site["roots"]],
            "php": site["php"],
            "listen": ["%s:%d" % ("[%s]" % a if ":" in a else a, p) for a, p, _tls in site["listen"]],
            "databases": _databases(system, name, site),
            "answers": {},
        }
    for job, answer in zip(jobs, answers):
        name, address, port, tls, path = job
        other = again.get(_key(job))
        if "lines" in answer:
            lines = answer.pop("lines")
            if other and other.get("markup") != answer["markup"]:
                answer["markup"] = "varies"
            if other and other.get("text") != answer["text"]:
                answer["stable"] = sorted(set(lines) & set(other.get("lines", [])))
        items[escape(name)]["answers"][_label(address, port, tls, path, site_listen=sites[name]["listen"])] = answer
        total += 1
    return {"items": items, "summary": {"sites": len(items), "answers looked at": total}}


def _key(job):
    name, _address, port, tls, path = job
    return name, port, tls, path


def _differs(one, two):
    return (one.get("text"), one.get("markup")) != (two.get("text"), two.get("markup"))


def _one_each(pool, look, jobs):
    """{key: answer}: each page once, over IPv4 where there is a choice."""
    chosen = {}
    for job in jobs:
        if _key(job) not in chosen or _vhosts.family(job[1]) == 4:
            chosen[_key(job)] = job
    return dict(zip(chosen, pool.map(look, chosen.values())))


def _label(address, port, tls, path, site_listen):
    scheme = "https" if tls else "http"
    shown = scheme if port == (443 if tls else 80) else "%s:%d" % (scheme, port)
    twins = [a for a, p, t in site_listen if p == port and t == tls and _vhosts.family(a) == _vhosts.family(address)]
    where = "IPv%d" % _vhosts.family(address) if len(twins) == 1 else address
    return "%s %s %s" % (shown, where, escape(path))


def _databases(system, name, site):
    """Names of databases that the site's application uses, as far as its configuration says: a lost database explains a broken site."""
    found = set()
    if not site["php"]:
        return []
    for root in site["roots"] or [""]:
        for pattern in APPLICATIONS:
            try:
                text = (system.read(pattern.format(root=root, name=name), 65536) or b"").decode("utf-8", "replace")
            except OSError:
                continue
            found.update(DATABASE.findall(text))
    return sorted(found - {"database_name_here"})
