# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""One panel's export from beginning to end: room and quiet, the inventory, the panel's own export, what is read back of it, and only then its name."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass, field, replace

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _crypt,
    _export,
    _inventory,
    _progress,
    _ready,
    _retention,
    _state,
    _verify,
)

PAUSE = 10


@dataclass
class Settings:
    """How to export. native, scratch: also let the panel check its own export, and import it into an instance of its own, where the driver can."""

    mode: str = "settings"
    root: str = _export.ROOT
    passphrase_file: str = ""
    max_age_hours: float = 0
    keep: int = 7
    keep_unproven: int = 7
    wait: float = 0
    native: bool = True
    scratch: bool = True


@dataclass
class Outcome:
    """What became of one panel's export. path, document: the export that counts now; made: whether it is a new one, foretold: whether one would be made.

    lines: the last that were said while it was made.
    """

    panel: str
    made: bool = False
    path: str = ""
    document: dict = None
    findings: list = field(default_factory=list)
    removed: list = field(default_factory=list)
    foretold: bool = False
    lines: list = field(default_factory=list)

    @property
    def verdict(self):
        return self.document["verdict"] if self.document else "failed"

    @property
    def changed(self):
        return self.made or self.foretold or bool(self.removed)

    def told(self):
        """As results have it."""
        out = {"panel": self.panel, "made": self.made, "path": self.path, "verdict": "would-run" if self.foretold else self.verdict}
        if self.lines:
            out["lines"] = list(self.lines)
        if self.document:
            out.update(objects=self.document["objects"], digest=self.document["digest"])
        return out


def young(panel, settings, host_id, now):
    """The newest export that still does what a new one would, or None.

    It is proven, undamaged, of this machine, not too old, in this mode, encrypted if asked, and today's passphrase opens it.
    """
    for held in _export.held(settings.root, panel):
        document = held.document
        if held.verdict != "proven" or document["mode"] != settings.mode or document.get("host_id") != host_id:
            continue
        encrypted = all(entry["stored"] and entry["stored"]["name"].endswith(_crypt.ENDING) for entry in document["files"])
        if not 0 <= _export.age(document, now) <= settings.max_age_hours or encrypted != bool(settings.passphrase_file):
            return None
        if any(finding.severity == "blocker" for finding in _export.check(held.path, document)):
            return None
        return held if _opens(held, settings.passphrase_file) else None
    return None


def _opens(held, passphrase_file):
    """Whether the inventory can be read; its files are all encrypted alike."""
    try:
        with _verify.Opened(held.path, passphrase_file or None, held.document) as opened:
            opened.inventory()
    except IntactError:
        return False
    return True


def ready(system, driver, found, settings, say=None, clock=time.monotonic, sleep=time.sleep):
    """Findings that keep an export from beginning; a busy panel is waited for as long as the settings say."""
    until, told = clock() + settings.wait, False
    while True:
        # what a restore has half done would be told by the inventory and the export alike, and so be proven
        findings = _ready.half(driver.NAME, settings.root) or _asked(system, driver, found, settings)
        busy = [finding for finding in findings if finding.id == "panel.busy"]
        if not busy or clock() >= until:
            return findings
        if say and not told:
            told = True
            say("waits at most %d s: %s" % (settings.wait, busy[0].title))
        sleep(min(PAUSE, max(until - clock(), 0)))


def _asked(system, driver, found, settings):
    try:
        return driver.ready(system, found, settings.mode, settings.root) if hasattr(driver, "ready") else []
    except IntactError as exc:
        return [_failed(driver.NAME, str(exc))]
    except OSError as exc:
        return [_no_room(driver.NAME, exc)]
    except Exception as exc:  # a driver's own defect must not hide the other panels
        return [_failed(driver.NAME, _verify.defect(driver, exc))]


def plan(chosen, settings, host_id, now):
    """[(driver, found, Held that is good enough or None)]: what would be exported. Reads only."""
    return [(driver, found, young(driver.NAME, settings, host_id, now) if settings.max_age_hours else None) for driver, found in chosen]


def foretell(system, planned, settings):
    """[Outcome] that carry_out() would come to, as far as it can be told beforehand; nothing is written."""
    out = []
    for driver, found, held in planned:
        outcome = Outcome(driver.NAME, foretold=held is None)
        if held:
            outcome.path, outcome.document = held.path, held.document
            outcome.removed = _retention.foretold(driver.NAME, settings)
        else:
            outcome.findings = ready(system, driver, found, replace(settings, wait=0))
            outcome.foretold = _verify.verdict(outcome.findings) == "proven" or any(finding.id == "panel.busy" for finding in outcome.findings)
            host, host_id = _state.host_of(system)
            soon = _export.Held("", driver.NAME, "~", {"verdict": "proven", "mode": settings.mode, "host": host, "host_id": host_id})
            outcome.removed = _retention.foretold(driver.NAME, settings, [soon])
        out.append(outcome)
    return _named(system, out)


def carry_out(system, planned, settings, say=None):
    """[Outcome] of a plan, a panel that can't be exported not hiding the others."""
    return _named(system, _carried_out(system, planned, settings, say))


def _named(system, outcomes):
    for outcome in outcomes:
        for finding in outcome.findings:
            finding.details.setdefault("host", _state.host_of(system)[0])
    return outcomes


def _carried_out(system, planned, settings, say):
    out = []
    for driver, found, held in planned:
        if held:
            out.append(_pruned(Outcome(driver.NAME, path=held.path, document=held.document), settings))
            continue
        try:
            out.append(export(system, driver, found, settings, say))
        except IntactError as exc:
            busy = exc.details.get("busy")
            out.append(Outcome(driver.NAME, findings=[_ready.busy(driver.NAME, "an export of ours", str(exc)) if busy else _failed(driver.NAME, str(exc))]))
        except OSError as exc:
            out.append(Outcome(driver.NAME, findings=[_no_room(driver.NAME, exc)]))
    return out


def _begun(panel, settings, moment, clock=time.monotonic, sleep=time.sleep):
    """The Work; an export of ours that works already is waited for."""
    until = clock() + settings.wait
    while True:
        try:
            return _export.begin(panel, settings.mode, settings.root, moment)
        except IntactError as exc:
            if not exc.details.get("busy") or clock() >= until:
                raise
        sleep(min(PAUSE, max(until - clock(), 0)))


def export(system, driver, found, settings, say=None, moment=None):
    """An Outcome. What is wrong is in its findings; only what can't be done at all by anybody (another run, a bad passphrase file) is an IntactError."""
    outcome = Outcome(driver.NAME)
    if settings.passphrase_file:
        _crypt.check(settings.passphrase_file, making=True)
    with _begun(driver.NAME, settings, moment) as work, _progress.Progress(work, say) as progress:
        outcome.lines = progress.lines
        progress.stage("room and quiet")
        outcome.findings += ready(system, driver, found, settings, progress)
        if _verify.verdict(outcome.findings) != "proven":
            return outcome
        before = _ready.restores(driver.NAME, settings.root)
        try:
            document = _made(system, driver, found, settings, work, progress)
            _proved(system, driver, found, settings, work, document, outcome, progress)
            if _ready.restores(driver.NAME, settings.root) != before:
                raise IntactError("a restore changed the panel meanwhile: export again when it has ended")
            outcome.path, outcome.made = _export.seal(work, outcome.document), True
        except IntactError as exc:
            full = os.strerror(errno.ENOSPC) in str(exc)  # as gpg and the panels' programs say it
            return _ended(outcome, _no_room(driver.NAME, OSError(errno.ENOSPC, str(exc))) if full else _failed(driver.NAME, str(exc)))
        except OSError as exc:
            return _ended(outcome, _no_room(driver.NAME, exc))
        except Exception as exc:  # a driver's own defect must not hide the other panels
            return _ended(outcome, _failed(driver.NAME, _verify.defect(driver, exc)))
        progress(outcome.verdict)
        progress.end(outcome.verdict)
    return _pruned(outcome, settings) if outcome.verdict != "failed" else outcome


def _ended(outcome, finding):
    """The outcome of an export that did not come to be, whatever was told of it so far."""
    outcome.document = None
    outcome.findings.append(finding)
    return outcome


def _pruned(outcome, settings):
    """The outcome, with what went of older exports."""
    try:
        outcome.removed, told = _retention.prune(outcome.panel, settings)
    except (IntactError, OSError) as exc:
        told = [_inventory.finding("panel.export.corrupt", outcome.panel, "export", "", "no older export was removed", str(exc), _verify.AGAIN)]
    outcome.findings += told
    return outcome


def _made(system, driver, found, settings, work, progress):
    host, host_id = _state.host_of(system)
    began = time.monotonic()
    progress.stage("the inventory is taken")
    inventory = driver.inventory(system, found)
    progress.stage("the panel exports")
    made = driver.export(system, found, settings.mode, work.target, progress)
    facts = {"version": found.get("version", ""), "met": driver.MET, "host": host, "host_id": host_id, "seconds": round(time.monotonic() - began, 1)}
    progress.stage("the export is stored")
    return _export.store(work, made, inventory, facts, settings.passphrase_file)


def _proved(system, driver, found, settings, work, document, outcome, progress):
    """Judge what was stored; what a moving panel explains is looked at a second time."""
    progress.stage("the export is read back")
    with _verify.Opened(work.path, settings.passphrase_file, document) as opened:
        findings, _verdict = _verify.judge(driver, opened)
    if any(finding.id in _verify.MOVING for finding in findings):
        # a customer may have made or removed something while the panel exported: what both inventories say has to be there
        document = _export.add_later(work, document, driver.inventory(system, found), settings.passphrase_file)
    with _verify.Opened(work.path, settings.passphrase_file, document) as opened:
        if document["later"]:
            findings, _verdict = _verify.judge(driver, opened)
        if settings.native and hasattr(driver, "native"):
            progress.stage("the panel checks it")
            findings += driver.native(system, found, opened)
            document["native"] = True
        if settings.scratch and hasattr(driver, "scratch") and _verify.verdict(findings) != "failed":
            progress.stage("it is imported into an instance of its own")
            findings += _scratched(system, driver, found, opened)
            document["scratch"] = True
    outcome.findings += findings
    shown = [finding.as_dict() for finding in outcome.findings]
    outcome.document = dict(document, verdict=_verify.verdict(outcome.findings), findings=shown)


def _scratched(system, driver, found, opened):
    """Findings of what the panel makes of its own export in an instance of its own."""
    seen = driver.scratch(system, found, opened, opened.work())
    # all kinds, unless the driver names those that an instance can tell: one without a single mailbox must not pass as one that was not asked
    kinds = getattr(driver, "SCRATCH", None)
    out = _verify.standing(opened, lambda inventory: _inventory.compare(inventory, seen, kinds=kinds))
    for finding in out:
        finding.details["seen"] = finding.id
        finding.id, finding.title = "panel.scratch.differs", "restored from this export " + finding.title
    return out


def _failed(panel, why):
    return _inventory.finding("panel.export.failed", panel, "export", "", "no export could be made", why, "repair what is named, and export again")


def _no_room(panel, exc):
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        where = exc.filename or _export.ROOT
        return _inventory.finding("panel.space", panel, "export", "", "the disk ran full", str(where), "make room below %s, and export again" % _export.ROOT)
    return _failed(panel, "%s: %s" % (exc.filename or "a file", exc.strerror))


def verify(driver, directory, passphrase_file="", system=None, found=None):
    """(document, findings, verdict) of an export, here or copied from anywhere. system, found: let the panel on this host check it too."""
    with _verify.Opened(directory, passphrase_file) as opened:
        findings, verdict = _verify.judge(driver, opened)
        if system is not None and found and hasattr(driver, "native"):
            findings += driver.native(system, found, opened)
            verdict = _verify.verdict(findings)
        return opened.document, findings, verdict
