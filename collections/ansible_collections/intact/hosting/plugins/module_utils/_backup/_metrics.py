# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How others learn of a host's backups: a textfile for Prometheus' node exporter, and a ping to a dead man's switch. Neither ever stops a backup."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _secrets
from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, parse_time

# name: (type, help)
METRICS = {
    "intact_backup_last_success_timestamp_seconds": "When the newest successful backup of a class into a repository was taken; 0 is never.",
    "intact_backup_last_ok": "Whether the newest try succeeded.",
    "intact_backup_seconds": "How long the newest try took.",
    "intact_backup_objects": "What the newest successful backup holds, by kind.",
    "intact_backup_proof_timestamp_seconds": "When a class was last proved by restoring it; 0 is never.",
    "intact_backup_restore_seconds": "How long the restore of the last proof took.",
    "intact_backup_check_timestamp_seconds": "When the repository was last checked; 0 is never.",
    "intact_backup_check_ok": "Whether the last check found nothing.",
    "intact_backup_read_ratio": "Share of the packs that was read back.",
    "intact_backup_oldest_read_timestamp_seconds": "When the part read longest ago was read; 0 while some part never was.",
    "intact_backup_findings": "Findings about the backups, by severity.",
    "intact_backup_written_timestamp_seconds": "When this file was written.",
}


def _label(text):
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _seconds(text):
    return parse_time(text).timestamp() if text else 0


def render(state, classes, findings, now):
    """The textfile's text: a line for every class in use and every repository, also for those that never succeeded. Pure."""
    values = {name: [] for name in METRICS}

    def add(name, value, **labels):
        values["intact_backup_" + name].append((labels, value))

    for repository, known in sorted(state["repositories"].items()):
        for klass in classes:
            entry = known["classes"].get(klass) or {"last": None, "good": None}
            labels = {"repository": repository, "class": klass}
            good, last = entry["good"] or {}, entry["last"] or {}
            add("last_success_timestamp_seconds", _seconds(good.get("taken")), **labels)
            add("last_ok", int(last.get("result") == "ok"), **labels)
            add("seconds", last.get("seconds") or 0, **labels)
            for what, number in sorted((good.get("counts") or {}).items()):
                add("objects", number, what=what, **labels)
            proof = known["proofs"].get(klass) or {}
            proven = proof.get("result") == "proven"
            add("proof_timestamp_seconds", _seconds(proof.get("made")) if proven else 0, **labels)
            if proven and proof.get("seconds") is not None:
                add("restore_seconds", proof["seconds"], **labels)
        checked, share = known["checked"], _check.covered(known["coverage"], now)
        add("check_timestamp_seconds", _seconds(checked.get("at")), repository=repository)
        add("check_ok", int(checked.get("result") == "ok"), repository=repository)
        add("read_ratio", round(share["percent"] / 100, 4), repository=repository)
        add("oldest_read_timestamp_seconds", _seconds(share["oldest"]) if share["oldest"] and not share["never"] else 0, repository=repository)
    for severity in ("blocker", "warning"):
        add("findings", sum(1 for finding in findings if finding.severity == severity), severity=severity)
    add("written_timestamp_seconds", round(now.timestamp()))
    lines = []
    for name, text in METRICS.items():
        lines += ["# HELP %s %s" % (name, text), "# TYPE %s gauge" % name]
        for labels, value in values[name]:
            inner = ",".join('%s="%s"' % (key, _label(labels[key])) for key in sorted(labels))
            lines.append("%s%s %s" % (name, "{%s}" % inner if inner else "", repr(value) if isinstance(value, float) else value))
    return "\n".join(lines) + "\n"


def write(path, text):
    """Put the textfile in place in one step, readable for the exporter: a finding when that can't be done."""
    try:
        write_atomic(path, text.encode("utf-8"), 0o644)
    except OSError as exc:
        return [_unheard("metrics file %s" % path, "could not be written: %s" % exc.strerror, "make %s and let root write there" % os.path.dirname(path))]
    return []


def ping(url_file, good, message="", timeout=10, opener=None):
    """Tell the switch that a run ended well, or (below /fail) that it did not. The URL is a secret: nothing here tells it."""
    if not url_file:
        return []
    try:
        url = _secrets.read_secret(url_file, "the file of the ping URL").decode("utf-8", "replace").strip()
        if not url.startswith(("https://", "http://")):
            raise IntactError("%s holds no http(s) URL" % url_file)
        request = urllib.request.Request(url.rstrip("/") + ("" if good else "/fail"), data=message.encode("utf-8", "replace")[:10000], method="POST")
        # Ansible's open_url is not there: this is a part of the installed program
        with (opener or urllib.request.build_opener().open)(request, timeout=timeout) as answer:
            answer.read(1000)
    except IntactError as exc:
        why = str(exc)
    except urllib.error.HTTPError as exc:
        why = "it answers %d" % exc.code
    except (OSError, ValueError) as exc:
        why = "no answer: %s" % (getattr(exc, "reason", None) or type(exc).__name__)
    else:
        return []
    return [_unheard("ping", why, "check ping_url_file and the way to the server; the backup itself is not touched by this")]


def _unheard(subject, why, remedy):
    return Finding(id="backup.unheard", severity="warning", subject=subject, title="nobody is told of the state of the backups", evidence=why, remedy=remedy)
