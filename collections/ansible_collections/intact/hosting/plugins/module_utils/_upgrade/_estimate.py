# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How long an upgrade will take, before it: from the plan, what was measured on the host, and what earlier flights took. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _budget
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages

# What the constants below were seen on: seconds of the fixed work, bytes per second with fsync, seconds for one small fsync, bytes per second of a mirror.
REFERENCE = {"cpu_seconds": 0.32, "write_bytes_per_second": 150e6, "fsync_seconds": 0.004, "download_bytes_per_second": 5e6}
# Seconds of a stage that no number of the plan decides.
FIXED = {
    "bind": 5,
    "snapshot": 10,
    "rescue-ssh": 10,
    "quiesce": 8,
    "stage-sources": 15,
    "simulate": 10,
    "point-of-no-return": 1,
    "database-stop": 20,
    "bootstrap": 35,
    "carry": 2,
    "target-files": 5,
    "database-upgrade": 20,
    "commit-sources": 5,
    "residue": 3,
    "reboot": 90,
    "unquiesce": 5,
    "cleanup": 5,
}
UNKNOWN_STAGE = 10
LOOK = "post-flight"
# Of one package: seconds of CPU on the reference, and how often dpkg waits for the disk.
PACKAGE_CPU, PACKAGE_SYNCS = 0.35, 12
# Unpacked bytes of one byte of a .deb.
UNPACKED = 3.5
# A start of the package manager, triggers at its end.
TRANSACTION = 10
# Below so many bytes the lists tell nothing of the mirror's speed.
TELLING_BYTES = 1000000
GOING_BACK = 120
RESTORE_START = 600


def work(plan):
    """{stage: amount} of the stages whose time grows with the plan: packages, for the download bytes."""
    upgrade = plan.get("upgrade") or []
    minimal = sum(1 for entry in upgrade if entry.get("stage") == "minimal")
    return {
        "patch-source": len(plan.get("patch") or []),
        "download": int(plan.get("download_bytes") or 0),
        "minimal": minimal,
        "full": len(upgrade) - minimal + len(plan.get("install") or []) + len(plan.get("remove") or []),
        "autoremove": len(plan.get("autoremove") or []),
    }


def _measured(measures, key):
    value = (measures or {}).get(key)
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def per_package(measures):
    """Seconds for one package beside its unpacking, on a host with these measures."""
    cpu = _measured(measures, "cpu_seconds") or REFERENCE["cpu_seconds"]
    sync = _measured(measures, "fsync_seconds") or REFERENCE["fsync_seconds"]
    return PACKAGE_CPU * cpu / REFERENCE["cpu_seconds"] + PACKAGE_SYNCS * sync


def median(values):
    """The middle of some numbers."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0


def like(history, plan):
    """Entries of the history that tell something of this plan: the same step between releases, this host's before others'. All others when there are none."""
    same = [entry for entry in history if entry.get("release_path") == plan.get("release_path")]
    return sorted(same or history, key=lambda entry: not entry.get("own"))


def from_history(stage, amount, entries, measures):
    """Seconds of a stage by what earlier flights took for theirs, by amount and by the pace of both hosts; None when they do not tell."""
    seen = []
    for entry in entries:
        seconds = (entry.get("stages") or {}).get(stage)
        if seconds is None:
            continue
        if amount is None:
            seen.append(float(seconds))
            continue
        before = (entry.get("work") or {}).get(stage) or 0
        # A handful of packages is mostly the start of the package manager.
        if before < (TELLING_BYTES if stage == "download" else 10):
            continue
        pace = 1.0
        if stage != "download" and entry.get("measures") and measures:
            pace = min(4.0, max(0.25, per_package(measures) / per_package(entry["measures"])))
        seen.append(float(seconds) * amount / before * pace)
    return median(seen) if seen else None


def _download(plan, measures, entries, basis):
    """Seconds of the download, and whether anything but an assumption says so."""
    amount, lists = int(plan.get("download_bytes") or 0), plan.get("lists") or {}
    pace = _measured(lists, "bytes_per_second") if (lists.get("bytes") or 0) >= TELLING_BYTES else None
    pace = pace or _measured(measures, "download_bytes_per_second")
    if pace:
        basis.append("download of %s at %s/s, as the package lists came" % (_size(amount), _size(pace)))
        return amount / pace + 2, True
    seconds = from_history("download", amount, entries, measures)
    if seconds is not None:
        basis.append("download of %s as fast as in earlier flights" % _size(amount))
        return seconds, True
    pace = REFERENCE["download_bytes_per_second"]
    basis.append("download of %s at %s/s, which is assumed: nothing large enough came from the mirror to measure it" % (_size(amount), _size(pace)))
    return amount / pace + 2, amount < TELLING_BYTES


def rollback(settings, measures, reboot, moved):
    """(seconds of the way back, sentence). settings: the rollback settings; moved: bytes that the upgrade writes."""
    settings = settings or {}
    driver = settings.get("driver") or "none"
    write = _measured(measures, "write_bytes_per_second") or REFERENCE["write_bytes_per_second"]
    if settings.get("seconds"):
        return int(settings["seconds"]), "rollback (%s) takes %s, as was set" % (driver, _budget.words(settings["seconds"]))
    if driver == "none":
        return 0, "no rollback is prepared, so no time for one is in it"
    if driver == "restore":
        held = float((measures or {}).get("data_bytes") or 0)
        seconds = RESTORE_START + held / write * 1.5 + reboot
        return int(round(seconds)), "rollback (restore) of %s at %s/s with a reinstallation's start, %s" % (_size(held), _size(write), _budget.words(seconds))
    seconds = reboot + GOING_BACK + (moved / write if driver == "lvm" else 0)
    return int(round(seconds)), "rollback (%s) is a reboot and what goes with it, %s" % (driver, _budget.words(seconds))


def estimate(plan, measures, history, settings=None, order=_stages.ORDER):
    """{stages: {stage: seconds}, total, rollback, low, high, basis: [sentences], work: {stage: amount}, measures}; all seconds whole.

    measures: see _measure.take(), with data_bytes and look_seconds of the baseline where known. history: see _history.entries().
    settings: {rollback: {driver, seconds}, reboot: bool}. order: names of the stages. low and high span what total may become.
    """
    measures, settings = measures or {}, settings or {}
    entries, amounts, basis, stages = like(history or [], plan), work(plan), [], {}
    moved = amounts["download"] * UNPACKED
    write = _measured(measures, "write_bytes_per_second") or REFERENCE["write_bytes_per_second"]
    packages = sum(amounts[name] for name in ("minimal", "full")) or 1
    told, sure = 0, True
    for stage in order:
        amount = amounts.get(stage)
        if stage == "download":
            stages[stage], sure = _download(plan, measures, entries, basis)
            continue
        if stage == "reboot" and settings.get("reboot") is False:
            stages[stage] = 0
            continue
        seconds = from_history(stage, amount, entries, measures)
        told += 1 if seconds is not None else 0
        if seconds is None and amount is None:
            seconds = FIXED.get(stage, UNKNOWN_STAGE)
        elif seconds is None:
            share = moved * amount / packages / write if stage in ("minimal", "full") else 0
            seconds = (TRANSACTION + amount * per_package(measures) + share) if amount else 1
        stages[stage] = seconds
    stages[LOOK] = 30 + 1.5 * float(measures.get("look_seconds") or 30)
    basis.append("%d packages in the upgrade itself, %.1f s for each" % (packages, (stages.get("minimal", 0) + stages.get("full", 0)) / packages))
    basis += _measures_told(measures)
    flights = len({entry.get("flight") for entry in entries}) if told else 0
    own = sum(1 for entry in entries if entry.get("own")) if told else 0
    basis.append(_history_told(flights, own, told))
    stages = {name: max(0, int(round(seconds))) for name, seconds in stages.items()}
    total = sum(stages.values())
    low, high = (0.75, 1.35) if flights >= 3 else (0.65, 1.6) if flights else (0.5, 1.8)
    if not sure or _measured(measures, "cpu_seconds") is None or _measured(measures, "write_bytes_per_second") is None:
        low, high = min(low, 0.4), max(high, 2.2)
    back, sentence = rollback(settings.get("rollback"), measures, stages.get("reboot") or FIXED["reboot"], moved)
    return {
        "stages": stages,
        "total": total,
        "rollback": back,
        "low": int(round(total * low)),
        "high": int(round(total * high)),
        "basis": basis + [sentence],
        "work": amounts,
        "measures": {key: measures[key] for key in sorted(measures) if key != "notes"},
    }


def _measures_told(measures):
    out = []
    if _measured(measures, "cpu_seconds") is not None:
        out.append("the CPU needs %.2f s for work of %.2f s on the machine of reference" % (measures["cpu_seconds"], REFERENCE["cpu_seconds"]))
    if _measured(measures, "write_bytes_per_second") is not None:
        sync = _measured(measures, "fsync_seconds")
        out.append("%s/s written with fsync%s" % (_size(measures["write_bytes_per_second"]), ", %.1f ms for a small one" % (1000 * sync) if sync else ""))
    return out + list(measures.get("notes") or [])


def _history_told(flights, own, told):
    if not flights:
        return "no earlier flight tells anything of this one, so the span is wide"
    return "%d earlier flight%s%s tell %d stages" % (flights, "" if flights == 1 else "s", " (%d of this host)" % own if own else "", told)


def _size(count):
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return "%.1f %s" % (count / step, unit)
    return "%d B" % count


def words(found):
    """An estimate as one sentence: about 35 min (20 min to 1 h 10 min), and 4 min for the way back."""
    back = ", and %s for the way back" % _budget.words(found["rollback"]) if found["rollback"] else ""
    return "about %s (%s to %s)%s" % (_budget.words(found["total"]), _budget.words(found["low"]), _budget.words(found["high"]), back)
