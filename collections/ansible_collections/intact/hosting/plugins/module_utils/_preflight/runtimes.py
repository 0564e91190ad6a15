# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Do the PHP versions that sites and jobs use exist at the target, with their extensions and pools (PF39)."""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

VERSION = re.compile(r"php(\d+\.\d+)(?:-fpm)?\b")
# Brought by every version's own dependencies, or built in by now.
ALWAYS = ("common", "cli", "fpm", "json", "opcache", "readline", "phpdbg", "cgi", "dev", "embed")
SITES = (
    "/etc/nginx/sites-enabled/*",
    "/etc/nginx/conf.d/*.conf",
    "/etc/apache2/sites-enabled/*",
    "/etc/apache2/conf-enabled/*",
    "/etc/apache2/mods-enabled/php*",
    "/etc/lighttpd/conf-enabled/*",
)


def versions(context):
    """({version that goes: [its packages]}, [versions at the target], newest first)."""
    gone = {entry["name"] for entry in context.planned("remove")}
    coming = {entry["name"] for entry in context.planned("install")} | {entry["name"] for entry in context.planned("upgrade")}
    here = {}
    for name in context.installed("php[0-9]*"):
        match = re.match(r"^php(\d+\.\d+)-", name)
        if match:
            here.setdefault(match.group(1), []).append(name)
    leaving = {version: names for version, names in here.items() if "php%s-common" % version in gone or all(name in gone for name in names)}
    staying = {version for version in here if version not in leaving} | {m.group(1) for m in (re.match(r"^php(\d+\.\d+)-", name) for name in coming) if m}
    return leaving, sorted(staying, key=lambda v: [int(part) for part in v.split(".")], reverse=True)


def lost_extensions(names, version, new, coming):
    """Extensions of packages phpVERSION-x that no planned phpNEW-x replaces. Pure."""
    out = []
    for name in names:
        part = name.split("-", 1)[1]
        if part not in ALWAYS and "php%s-%s" % (new, part) not in coming:
            out.append(part)
    return sorted(out)


def carried(path, version, rules):
    """The release path's rule that takes a versioned file along to the new version, or None."""
    for rule in rules or []:
        source = str(rule.get("from", "")).rstrip("/")
        if (
            source
            and version in source
            and (path == source or path.startswith(source + "/") or fnmatch.fnmatchcase(path, source) or fnmatch.fnmatchcase(path, source + "/*"))
        ):
            return rule
    return None


def runtimes(context):
    """PF39: no site, pool or job depends on a PHP that the target does not have."""
    leaving, staying = versions(context)
    if not leaving:
        return []
    if not staying:
        return [
            Finding(
                id="runtimes.php.none",
                severity="blocker",
                subject="PHP " + ", ".join(sorted(leaving)),
                title="the upgrade removes PHP and brings no other",
                remedy="install the metapackage (php-fpm or libapache2-mod-php) now, so that the upgrade brings the new version",
            )
        ]
    new, found, listens = staying[0], [], {}
    coming = {entry["name"] for kind in ("install", "upgrade") for entry in context.planned(kind)}
    rules = context.release_path.get("carry")
    for version, names in sorted(leaving.items()):
        for part in lost_extensions(names, version, new, coming):
            found.append(
                Finding(
                    id="runtimes.php.extension",
                    severity="blocker",
                    subject="php%s-%s" % (version, part),
                    title="the target gets PHP %s without the extension %s" % (new, part),
                    evidence="installed for PHP %s, not in the plan for %s" % (version, new),
                    remedy="apt-get install php-%s (the metapackage) now, so that the upgrade brings it; if it is of no use, apt-get remove php%s-%s"
                    % (part, version, part),
                )
            )
        for path in context.host.glob("/etc/php/%s/fpm/pool.d/*.conf" % version):
            rule = carried(path, version, rules)
            text = context.host.text(path)
            for listen in re.findall(r"(?m)^\s*listen\s*=\s*(\S+)", text):
                listens[context.host.realpath(listen)] = (path, rule)
                listens[listen] = (path, rule)
            if rule:
                found.append(
                    Finding(
                        id="runtimes.php.carried",
                        severity="info",
                        subject=path,
                        title="this pool is carried from PHP %s to %s" % (version, new),
                        evidence=str(rule.get("reason", "")),
                    )
                )
            else:
                found.append(
                    Finding(
                        id="runtimes.php.pool",
                        severity="blocker",
                        subject=path,
                        title="this pool would be lost: the target has PHP %s instead of %s" % (new, version),
                        remedy="add carry {from: /etc/php/%s/fpm/pool.d, to: /etc/php/%s/fpm/pool.d} to the release path, or move the site to a PHP that stays"
                        % (version, new),
                    )
                )
    found += _references(context, leaving, new, listens)
    return found


def _references(context, leaving, new, listens):
    found, told = [], set()
    for pattern in SITES:
        for path in context.host.glob(pattern):
            for line in context.host.text(path).splitlines():
                body = line.strip()
                if body.startswith(("#", ";")):
                    continue
                for socket in re.findall(r"unix:([^;|\s\"']+)", body):
                    pool = listens.get(socket) or listens.get(context.host.realpath(socket))
                    match = VERSION.search(socket)
                    if match and match.group(1) in leaving and not (pool and pool[1]) and (path, socket) not in told:
                        told.add((path, socket))
                        found.append(
                            Finding(
                                id="runtimes.php.site",
                                severity="blocker",
                                subject=path,
                                title="this site asks PHP %s, which the target does not have" % match.group(1),
                                evidence=body[:160],
                                remedy="let it use /run/php/php-fpm.sock, or a pool of its own that the release path carries to PHP %s" % new,
                            )
                        )
                module = re.search(r"libphp(\d+\.\d+)\.so", body)
                if (
                    module
                    and module.group(1) in leaving
                    and (path, "module") not in told
                    and "libapache2-mod-php%s" % new not in {e["name"] for e in context.planned("install")}
                ):
                    told.add((path, "module"))
                    found.append(
                        Finding(
                            id="runtimes.php.site",
                            severity="blocker",
                            subject=path,
                            title="apache loads PHP %s, which the target does not have" % module.group(1),
                            evidence=body[:160],
                            remedy="apt-get install libapache2-mod-php (the metapackage) now, so that the upgrade brings PHP %s" % new,
                        )
                    )
    for path in (
        ["/etc/crontab"]
        + context.host.glob("/etc/cron.d/*")
        + context.host.glob("/var/spool/cron/crontabs/*")
        + context.host.glob("/etc/systemd/system/*.service")
    ):
        for number, line in enumerate(context.host.text(path).splitlines(), 1):
            match = re.search(r"(?:^|[\s/=])php(\d+\.\d+)(?=\s|$)", line)
            if match and match.group(1) in leaving and not line.lstrip().startswith("#"):
                found.append(
                    Finding(
                        id="runtimes.php.job",
                        severity="blocker",
                        subject="%s:%d" % (path, number),
                        title="this job runs PHP %s, which the target does not have" % match.group(1),
                        evidence=" ".join(line.split())[:160],
                        remedy="write php instead of php%s" % match.group(1),
                    )
                )
    return found
