# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The job of a host's backups: what it must say, what it need not, and what it may not. Pure."""

from __future__ import annotations

import datetime
import re
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, check_waivers, gate

SCHEMA = 1
CLASSES = ("files", "databases", "mail", "lists", "panel", "system")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
BACKENDS = ("local", "sftp", "rest", "s3", "b2", "azure", "gs", "swift", "rclone")

# key: (type, default); a default of None: it must be given.
JOB = {
    "schema": (int, SCHEMA),
    "host": (str, None),
    "program": (str, "restic"),
    "repositories": (list, None),
    "classes": (dict, {}),
    "waivers": (list, []),
    "min_repositories": (int, 2),
    "check": (dict, {}),
    "metrics_file": (str, ""),
    "ping_url_file": (str, ""),
    "limits": (dict, {}),
}
REPOSITORY = {
    "name": (str, None),
    "url": (str, None),
    "password_file": (str, None),
    "environment_file": (str, ""),
    "ca_file": (str, ""),
    "identity_file": (str, ""),
    "known_hosts_file": (str, ""),
    "append_only": (bool, True),
    "options": (list, []),
}
CHECK = {"parts": (int, 30), "max_age_days": (int, 35)}
LIMITS = {"read_mbps": (int, 0), "upload_kib": (int, 0), "download_kib": (int, 0), "nice": (int, 10)}
CLASS = {
    "enabled": (object, "auto"),
    "paths": (list, []),
    "more_paths": (list, []),
    "exclude": (list, []),
    "floor": (dict, {}),
    "drop_percent": (int, 30),
    "reread_days": (int, 30),
    "max_age_hours": (int, 30),
    "max_proof_days": (int, 8),
}
# What one class has besides.
OWN = {
    "files": {},
    "databases": {
        "mysql_defaults_file": (str, ""),
        "lock_nontransactional": (bool, True),
        "lock_wait_seconds": (int, 10),
        "sqlite_trees": (list, []),
        "sqlite_paths": (list, []),
    },
    "mail": {"dbox": (bool, False), "messages_listed": (int, 50000)},
    "lists": {},
    "panel": {"max_export_hours": (int, 30)},
    "system": {},
}
PATHS = ("password_file", "environment_file", "ca_file", "identity_file", "known_hosts_file")


def fill(given, spec, where):
    """The mapping with defaults, or IntactError that names the key: unknown, missing or of another type."""
    if not isinstance(given, dict):
        raise IntactError("%s must be a mapping of keys to values" % where, key=where)
    unknown = sorted(set(given) - set(spec))
    if unknown:
        raise IntactError(
            "%s has the key %s, which nothing reads: known are %s" % (where, unknown[0], ", ".join(sorted(spec))), key="%s.%s" % (where, unknown[0])
        )
    out = {}
    for key, (kind, default) in spec.items():
        value = given.get(key, default)
        if value is None:
            raise IntactError("%s lacks %s: add it" % (where, key), key="%s.%s" % (where, key))
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise IntactError("%s.%s must be a %s, not %r" % (where, key, kind.__name__, value), key="%s.%s" % (where, key))
        out[key] = type(value)(value) if isinstance(value, (list, dict)) else value
    return out


def check(job, now=None):
    """The job with all defaults. Raises IntactError for the first thing that is wrong, naming its key and what to do.

    Too few independent repositories are wrong too, unless a waiver that has not expired says why.
    """
    job = fill(job, JOB, "job")
    if job["schema"] != SCHEMA:
        raise IntactError("job.schema is %s, and this release reads %d: run the role host_backup again" % (job["schema"], SCHEMA), key="job.schema")
    if not job["host"].strip():
        raise IntactError("job.host is empty: it is the host's name in the inventory", key="job.host")
    job["check"] = fill(job["check"], CHECK, "job.check")
    job["limits"] = fill(job["limits"], LIMITS, "job.limits")
    for where, value, low, high in (
        ("job.check.parts", job["check"]["parts"], 1, 256),
        ("job.limits.nice", job["limits"]["nice"], 0, 19),
        ("job.min_repositories", job["min_repositories"], 2, 9),
    ):
        if not low <= value <= high:
            raise IntactError("%s must be from %d to %d, not %d" % (where, low, high, value), key=where)
    job["repositories"] = [_repository(entry, "job.repositories[%d]" % number) for number, entry in enumerate(job["repositories"])]
    for key in ("name", "url"):
        values = [entry[key] for entry in job["repositories"]]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise IntactError("two repositories have the %s %s: one of them is not a second copy" % (key, twice[0]), key="job.repositories.%s" % key)
    unknown = sorted(set(job["classes"]) - set(CLASSES))
    if unknown:
        raise IntactError("job.classes has %s: known are %s" % (unknown[0], ", ".join(CLASSES)), key="job.classes.%s" % unknown[0])
    job["classes"] = {name: _class(name, job["classes"].get(name, {})) for name in CLASSES}
    check_waivers(job["waivers"])
    verdict = gate(independence(job), job["waivers"], now or datetime.datetime.now(datetime.timezone.utc))
    if not verdict["go"]:
        entry = next(entry for entry in verdict["findings"] if entry["status"] != "waived")
        raise IntactError("%s: %s (%s). %s" % (entry["subject"], entry["title"], entry["evidence"], entry["remedy"]), key="job.repositories", findings=[entry])
    return job


def _repository(entry, where):
    entry = fill(entry, REPOSITORY, where)
    if not NAME.match(entry["name"]):
        raise IntactError("%s.name %r must be of a-z 0-9 _ -, at most 40" % (where, entry["name"]), key=where + ".name")
    where = "repository %s" % entry["name"]
    if re.search(r"://[^/@]*:[^/@]*@", entry["url"]):
        raise IntactError(
            "%s: url holds a password: write RESTIC_REST_USERNAME=... and RESTIC_REST_PASSWORD=... into environment_file (0600) instead" % where,
            key=where + ".url",
        )
    backend, host = place(entry["url"])
    if backend not in BACKENDS or not host:
        raise IntactError(
            "%s: url %r is none that restic reads: an absolute path, sftp:user@host:/path, rest:https://host/, s3:..." % (where, entry["url"]), key=where
        )
    if entry["url"].startswith("rest:http:") and not host.startswith(("127.", "localhost", "[::1]")):
        raise IntactError("%s: url speaks HTTP without TLS, which shows the password to the network: use rest:https:" % where, key=where + ".url")
    for key in PATHS:
        if entry[key] and not entry[key].startswith("/"):
            raise IntactError("%s: %s %r must be an absolute path on the host" % (where, key, entry[key]), key="%s.%s" % (where, key))
    secret = [option for option in entry["options"] if not isinstance(option, str) or "=" not in option or re.search("pass|secret|token", option, re.I)]
    if secret:
        raise IntactError("%s: options are restic's key=value, and no secrets: %r" % (where, str(secret[0]).partition("=")[0]), key=where + ".options")
    return entry


def _class(name, given):
    where = "job.classes.%s" % name
    entry = fill(given, dict(CLASS, **OWN[name]), where)
    if entry["enabled"] not in ("auto", True, False):
        raise IntactError("%s.enabled must be auto, true or false, not %r" % (where, entry["enabled"]), key=where + ".enabled")
    for key in ("paths", "more_paths"):
        wrong = [path for path in entry[key] if not isinstance(path, str) or not path.startswith("/")]
        if wrong:
            raise IntactError("%s.%s: %r must be an absolute path" % (where, key, wrong[0]), key="%s.%s" % (where, key))
    for rule in entry["exclude"]:
        if not isinstance(rule, dict) or not rule.get("patterns") or not str(rule.get("reason") or "").strip():
            raise IntactError("%s.exclude: every entry has patterns and a reason, which the report shows: %r" % (where, rule), key=where + ".exclude")
    for what, least in entry["floor"].items():
        if not isinstance(least, int) or isinstance(least, bool) or least < 0:
            raise IntactError("%s.floor.%s must be a number, not %r" % (where, what, least), key="%s.floor.%s" % (where, what))
    if not 1 <= entry["drop_percent"] <= 100:
        raise IntactError("%s.drop_percent must be from 1 to 100, not %d" % (where, entry["drop_percent"]), key=where + ".drop_percent")
    if not 0 <= entry["reread_days"] <= 366:
        raise IntactError(
            "%s.reread_days must be from 0 (read every file each time) to 366, not %d" % (where, entry["reread_days"]), key=where + ".reread_days"
        )
    return entry


def place(url):
    """(backend, where it stands) of a repository's address: two that stand at the same place burn down together. Pure."""
    if url.startswith("/"):
        return "local", "this host"
    backend, _sign, rest = url.partition(":")
    if backend == "local":
        return backend, "this host"
    if backend in ("rest", "s3") and "://" in rest:
        return backend, (urllib.parse.urlsplit(rest).hostname or "").lower()
    if backend == "sftp":
        if rest.startswith("//"):
            return backend, (urllib.parse.urlsplit(url).hostname or "").lower()
        return backend, re.sub(r":.*", "", rest.rpartition("@")[2] if "@" in rest.split("/")[0] else rest).lower()
    return backend, rest.split("/")[0].lower()


def independence(job):
    """backup.repositories.few unless enough repositories stand at different places, none of them this host. Pure."""
    places = {entry["name"]: place(entry["url"])[1] for entry in job["repositories"]}
    away = sorted(set(places.values()) - {"this host"})
    least = job["min_repositories"]
    if len(away) >= least:
        return []
    said = ", ".join("%s on %s" % pair for pair in sorted(places.items())) or "none"
    return [
        Finding(
            id="backup.repositories.few",
            severity="blocker",
            subject=job["host"],
            title="%d independent repositories are asked for, and there %s %d" % (least, "is" if len(away) == 1 else "are", len(away)),
            evidence="repositories: " + said,
            remedy="Add a repository on another host, or waive backup.repositories.few for %s with reason, who and expires in waivers" % job["host"],
            details={"places": places},
        )
    ]
