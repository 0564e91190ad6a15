# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""What a disk says of its own health, through smartctl when that is installed; nothing is started on the disk, and a sleeping one is not woken."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Raw values above 0 of these mean that sectors were lost (5, 197, 198; SMART attributes of ATA).
SECTORS = {5: "reallocated sectors", 197: "sectors that wait for reallocation", 198: "sectors that can't be corrected"}


def look(system, path):
    """{verdict (passed | worn | failing | unknown | not asked) said [sentences]}. worn: the disk still calls itself healthy and has lost sectors."""
    if not system.which("smartctl"):
        return {"verdict": "not asked", "said": ["smartctl is not installed on this host (package smartmontools)"]}
    try:
        result = system.run(["smartctl", "-j", "-i", "-H", "-A", "-n", "standby", path], timeout=60, check=False)
        told = json.loads(result.text)
    except IntactError as exc:
        return {"verdict": "unknown", "said": [str(exc)]}
    except ValueError:
        return {"verdict": "unknown", "said": ["smartctl gave no JSON: %s" % (result.error or "status %d" % result.rc)]}
    return judge(told if isinstance(told, dict) else {})


def judge(told):
    """The verdict of smartctl's JSON."""
    said = [escape(str(m.get("string", ""))) for m in (told.get("smartctl") or {}).get("messages") or [] if m.get("severity") == "error"]
    lost = []
    for row in (told.get("ata_smart_attributes") or {}).get("table") or []:
        raw = (row.get("raw") or {}).get("value") or 0
        if row.get("id") in SECTORS and raw:
            lost.append("%d %s" % (raw & 0xFFFFFFFF, SECTORS[row["id"]]))
        if row.get("when_failed") == "now":
            lost.append("%s is below its threshold" % row.get("name"))
    log = told.get("nvme_smart_health_information_log") or {}
    if log.get("critical_warning"):
        lost.append("NVMe's critical warning %d" % log["critical_warning"])
    if log.get("media_errors"):
        lost.append("%d media errors" % log["media_errors"])
    grown = told.get("scsi_grown_defect_list")
    if grown:
        lost.append("%d grown defects" % grown)
    passed = (told.get("smart_status") or {}).get("passed")
    if passed is None:
        return {"verdict": "unknown", "said": said + lost or ["the device does not tell its health"]}
    hours = (told.get("power_on_time") or {}).get("hours")
    out = {"verdict": "failing" if not passed else "worn" if lost else "passed", "said": lost + said}
    return dict(out, hours=hours) if hours is not None else out
