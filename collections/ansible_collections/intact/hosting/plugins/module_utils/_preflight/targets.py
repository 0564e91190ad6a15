# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The target release's daemons read today's configuration before anything is upgraded (PF41)."""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _targetroot, configs

SECONDS = 60


def coming(context):
    """{package: version} that the plan brings, for this architecture."""
    return {entry["name"]: entry["to"] for kind in ("upgrade", "install") for entry in context.planned(kind) if entry.get("to")}


def daemons(context):
    """[(Daemon, {package: version})] whose target version the plan brings: the table of configs, PHP's versions, the release path's own."""
    new = coming(context)
    table = [d for d in configs.DAEMONS if d.target and context.installed(*d.packages)]
    if context.installed("php[0-9]*-fpm"):
        for name in sorted(new):
            match = re.match(r"^php(\d+\.\d+)-fpm$", name)
            if match:
                version = match.group(1)
                table.append(configs.Daemon("php-fpm " + version, (), ("php-fpm" + version, "-t"), "/etc/php/%s/fpm" % version, target=("php%s-*" % version,)))
    named = {daemon.name: daemon for daemon in table}
    for entry in context.release_path.get("target_checks") or []:
        known = named.get(entry["name"])
        detect = tuple(entry.get("detect") or entry.get("packages") or ())
        if not known and not context.installed(*detect):
            continue
        context.once("hints", dict)[entry["name"]] = str(entry.get("remedy") or entry.get("reason") or "")
        named[entry["name"]] = configs.Daemon(
            entry["name"],
            known.packages if known else detect,
            tuple(entry.get("command") or known.argv),
            entry.get("configuration") or known.where,
            unit=known.unit if known else "",
            says=entry.get("says") or (known.says if known else ""),
            target=tuple(entry.get("packages") or known.target),
            network=bool(entry.get("network", known.network if known else False)),
        )
    out = []
    for daemon in named.values():
        packages = {name: version for name, version in new.items() if any(fnmatch.fnmatchcase(name, pattern) for pattern in daemon.target)}
        if packages:
            out.append((daemon, packages))
    return out


def place(message, where):
    """The path that a daemon's message names, below its configuration, or the configuration's own. Pure."""
    named = re.findall(r"(/etc/[^\s:'\",;()]+)", message)
    return next((path for path in named if path.startswith(where)), named[0] if named else where)


def telling(text):
    """The lines of a daemon's message that say what is wrong, on one line. Pure."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    wrong = [
        line
        for line in lines
        if re.search(r"fatal|error|emerg|unknown|invalid|unsupported|obsolete|not (?:found|supported)|failed|bad |missing|deprecated", line, re.I)
    ]
    return " | ".join((wrong or lines)[-4:])[:700]


def root(context, chosen):
    """Directory with the target's daemons, made once for all checks that ask them. chosen: daemons(context). IntactError at each call when it can't be made."""

    def make():
        apt = context.plan.get("apt") or {}
        packages = sorted({"%s=%s" % pair for _daemon, found in chosen for pair in found.items()})
        try:
            known = apt.get("config") and context.host.exists(apt["config"])
            config, archives = (apt["config"], apt["archives"]) if known else _targetroot.own_state(context)
            return _targetroot.unpacked(context, config, archives, packages), None
        except IntactError as exc:
            return "", exc

    place, error = context.once("target root", make)
    if error:
        raise error
    return place


def valid_there(context):
    """PF41: each daemon of the target release accepts the configuration that it would find."""
    chosen = daemons(context)
    if not chosen:
        return []
    files = context.options.get("target_files") or ""
    orders = [{"name": daemon.name, "argv": list(daemon.argv), "network": daemon.network, "seconds": SECONDS} for daemon, _found in chosen]
    try:
        told, _fresh = _targetroot.ask(context, root(context, chosen), orders, files)
    except IntactError as exc:
        return [
            Finding(
                id="config.target.unchecked",
                severity="blocker",
                subject=", ".join(daemon.name for daemon, _found in chosen),
                title="nobody could see whether the target's daemons accept this configuration",
                evidence=str(exc),
                remedy="repair what is named; on a container without private mounts try the daemons on a copy, and waive this with what you saw",
            )
        ]
    answers = {answer["name"]: answer for answer in told}
    found = []
    for daemon, versions in chosen:
        answer = answers[daemon.name]
        said = answer["err"] + ("\n" + answer["out"] if answer["rc"] else "")
        if answer["rc"] == 0 and not (daemon.says and re.search(daemon.says, answer["err"])):
            continue
        if daemon.name in context.once("broken now", dict):
            continue  # told already: it is broken today
        context.once("broken there", dict)[daemon.name] = True  # so that PF30 does not tell sshd's again
        hint = context.once("hints", dict).get(daemon.name, "")
        message = telling(said) or "%s ended with status %s" % (daemon.argv[0], answer["rc"])
        path = place(said, daemon.where)
        main = next((v for n, v in sorted(versions.items()) if fnmatch.fnmatchcase(n, daemon.target[0])), "")
        into = context.options.get("target_files_name") or "a directory on the controller (name it in distro_upgrade_target_files)"
        found.append(
            Finding(
                id="config.target.broken",
                severity="blocker" if configs.in_use(context, daemon.unit) else "warning",
                subject=daemon.name,
                title="%s %s of %s refuses the configuration that it would find" % (daemon.name, main, context.target()),
                evidence=message,
                remedy="port %s: put what works as %s%s into %s and run check-host again. It is tried here with the target's own binary, and the "
                "upgrade puts it in place%s" % (path, daemon.where.lstrip("/"), "/..." if path != daemon.where else "", into, "; " + hint if hint else ""),
                details={"path": path, "output": said[-4000:], "packages": versions},
            )
        )
    return found
