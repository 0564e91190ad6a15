# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Capture a whole baseline: one document, one section per probe, each complete or saying why not."""

from __future__ import annotations

import time
import zlib

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import OutOfTime, System
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SCHEMA = 1


def capture(probes, off=(), options=None, limits=None, earlier=None, system=System, clock=time.monotonic):
    """Run probes {section: module with capture(system)} and return the document.

    {"schema": 1, "taken": UTC, "host": str, "boot": str, "seconds": s, "sections": {name: section}}
    section: {"status": ok | partial | failed | off | absent, "reason": str, "seconds": s, "bytes": n,
    "unlooked": [{what, why}], "data": {"items": {subject: {attribute: value}}, "summary": {what: n}, ...}}
    absent: the thing is not installed on this host (data is {}); partial: something was left out, unlooked says what.
    limits: {section or "default": {"seconds": s, "bytes": n}}. earlier: the document that this one will be compared with: probes may ask
    the host for what only it can tell of that moment.
    """
    started = clock()
    document = {"schema": SCHEMA, "taken": _flight.now(), "host": _hostname(), "boot": _flight.boot_id(), "sections": {}}
    limits = limits or {}
    for name, probe in probes.items():
        if name in off:
            document["sections"][name] = {"status": "off", "reason": "switched off by the operator", "seconds": 0, "bytes": 0, "unlooked": []}
            continue
        begun = clock()
        view = system((options or {}).get(name), limits.get(name, limits.get("default")))
        view.earlier = (((earlier or {}).get("sections") or {}).get(name) or {}).get("data") or {}
        section = {"status": "ok", "reason": ""}
        try:
            section["data"] = probe.capture(view)
            if section["data"] is None:
                section.update(status="absent", reason="not installed on this host", data={})
        except OutOfTime as exc:
            section.update(status="failed", reason=str(exc))
        except IntactError as exc:
            section.update(status="failed", reason=str(exc))
        except Exception as exc:  # a probe's own defect must not hide the other sections
            section.update(status="failed", reason="%s: %s (a defect in this probe)" % (type(exc).__name__, exc))
        if view.unlooked and section["status"] == "ok":
            section["status"] = "partial"
        section.update(seconds=round(clock() - begun, 3), bytes=view.bytes_read, unlooked=view.unlooked)
        document["sections"][name] = section
    document["seconds"] = round(clock() - started, 3)
    return document


def load(path):
    """A document from its file. Raises IntactError when it is none that this release can read."""
    try:
        document = read_document(path)
    except FileNotFoundError:
        raise IntactError("there is no baseline at %s: capture one first" % path, path=path) from None
    except (OSError, EOFError, ValueError, zlib.error) as exc:
        raise IntactError("the baseline at %s cannot be read (%s): capture it again" % (path, exc), path=path) from exc
    if not isinstance(document, dict) or not isinstance(document.get("sections"), dict):
        raise IntactError("%s is not a baseline: capture one with baseline_info" % path, path=path)
    if document.get("schema") != SCHEMA:
        raise IntactError("the baseline at %s has schema %s and this release reads %d: capture it again" % (path, document.get("schema"), SCHEMA), path=path)
    return document


def _hostname():
    with open("/proc/sys/kernel/hostname", encoding="utf-8") as handle:
        return handle.read().strip()
