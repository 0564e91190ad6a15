# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Verification without restoring: what all drivers share. Everything is read to its last byte; nothing but that makes an export proven."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
from collections.abc import Mapping

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _archives, _crypt, _export, _inventory
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import BLOCK, Broken

# As _streams, _compressed and _tar say it.
_CUT = ("it is cut short", "it ends in the middle", "it is empty")
# What a customer's work while the panel exports can explain.
MOVING = ("panel.object.missing", "panel.object.extra", "panel.object.changed", "panel.object.empty", "panel.reference.broken")
AGAIN = "export again, and don't restore from this export; look for what broke it (disk, space, the panel's log)"


class _Files(Mapping):
    """{name: path}: a file is decrypted when its path is asked for, into a private directory that goes with the Opened."""

    def __init__(self, opened):
        self._opened = opened

    def __getitem__(self, name):
        return self._opened.plain(name)

    def __iter__(self):
        return iter(self._opened.names())

    def __len__(self):
        return len(self._opened.names())


class Opened:
    """An export to read from, here or a copy elsewhere. As a context: what was decrypted to the disk for the panel's own programs goes at its end.

    document: see _export. files: {name: path}, in the clear. digests: {name: sha256} of what was read to its end so far.
    """

    def __init__(self, directory, passphrase_file=None, document=None):
        self.directory = os.path.abspath(directory)
        self.document = document or _export.read(self.directory)
        self.panel = self.document["panel"]
        self.files, self.digests = _Files(self), {}
        self._passphrase_file = passphrase_file
        self._entries = {entry["name"]: entry for entry in self.document["files"] if entry["stored"]}
        self._stack = contextlib.ExitStack()
        self._work = None
        self._plain = {}
        for name in self.names():
            if self.encrypted(name) and not passphrase_file:
                raise IntactError("%s is encrypted: name the passphrase file" % self.directory, path=self.directory)

    def names(self, *roles):
        """Names of the export's files; only those of these roles (artefact, key, inventory, dump)."""
        return [name for name, entry in self._entries.items() if not roles or entry["role"] in roles]

    def encrypted(self, name):
        """Whether a file is stored encrypted."""
        return self._entries[name]["stored"]["name"].endswith(_crypt.ENDING) and not name.endswith(_crypt.ENDING)

    def sha256(self, name):
        """What the document says of a file in the clear."""
        return self._entry(name)["sha256"]

    def stored(self, name):
        """Where a file lies as it is stored."""
        kept = self._entry(name)["stored"]["name"]
        if not _export.safe(kept):
            raise IntactError("the export's document names a file outside of it: %s" % kept, path=self.directory)
        return os.path.join(self.directory, kept)

    def _entry(self, name):
        if name not in self._entries:
            raise IntactError("%s has no file %s" % (self.directory, name), path=self.directory)
        return self._entries[name]

    @contextlib.contextmanager
    def stream(self, name):
        """A file's plain bytes, as something to read() from."""
        if self.encrypted(name):
            with _crypt.decrypted(self.stored(name), self._passphrase_file) as source:
                yield source
        else:
            with open(self.stored(name), "rb") as source:
                yield source

    def contents(self, name, keep=None, scan=None, enter=None):
        """_archives.walk() of a file, decrypted on the way."""
        try:
            with self.stream(name) as source:
                told = _archives.walk(name, keep, scan, enter, source=source, work=self.work())
        except OSError as exc:
            raise IntactError("%s can't be read: %s" % (self.stored(name), exc.strerror), path=self.stored(name)) from exc
        self.digests[name] = told.sha256
        return told

    walk = contents

    def read(self, name, limit=None):
        """The bytes of a file, at most limit."""
        out, size = [], 0
        try:
            with self.stream(name) as source:
                for block in iter(lambda: source.read(BLOCK), b""):
                    out.append(block)
                    size += len(block)
                    if limit is not None and size >= limit:
                        break
        except Broken as exc:
            raise IntactError("%s: %s" % (self.stored(name), exc.why), path=self.stored(name)) from exc
        return b"".join(out)[:limit]

    def plain(self, name):
        """The path of a file in the clear, for programs that want one."""
        if not self.encrypted(name):
            return self.stored(name)
        if name not in self._plain:
            path = os.path.join(self.work(), "%d" % len(self._plain), os.path.basename(name))
            os.mkdir(os.path.dirname(path), 0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                try:
                    with self.stream(name) as source:
                        shutil.copyfileobj(source, out, BLOCK)
                except Broken as exc:
                    raise IntactError("%s: %s" % (self.stored(name), exc.why), path=self.stored(name)) from exc
            self._plain[name] = path
        return self._plain[name]

    def inventory(self, name=_export.INVENTORY):
        """The inventory that was taken before the export, or the later one."""
        try:
            raw = self.read(name)
            return _inventory.check(json.loads(gzip.decompress(raw)))
        except (OSError, ValueError, EOFError) as exc:
            raise IntactError("the inventory in %s can't be read: %s" % (self.directory, exc), path=self.directory) from None

    def work(self):
        """A private directory beside the export, or where only root may look when nothing may be written there; gone at the end."""
        if self._work is None:
            beside = os.path.dirname(self.directory)
            self._work = self._stack.enter_context(_crypt.private(beside if os.access(beside, os.W_OK) else _export.ROOT))
        return self._work

    def close(self):
        """Remove what was decrypted."""
        self._stack.close()
        self._work, self._plain = None, {}

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


def broken(contents, panel, name):
    """Findings of what walk() found broken in a file of the export."""
    found = []
    if not contents.size:
        found.append(_inventory.finding("panel.export.truncated", panel, "file", name, "the file is empty", "0 bytes", AGAIN))
    for path, why in contents.broken:
        ident = "panel.export.truncated" if why.startswith(_CUT) else "panel.export.corrupt"
        where = name if path == os.path.basename(name) else "%s!%s" % (name, path)
        cut = [member for member in contents.cut if path == os.path.basename(name) or member == path or member.startswith(path + "!")]
        evidence = why + ("; in the middle of %s" % ", ".join(cut[-3:]) if cut else "")
        found.append(_inventory.finding(ident, panel, "file", where, "this part of the export can't be read to its end", evidence, AGAIN, cut=cut[:20]))
    return found


def archives(opened, panel, enter=None):
    """Findings of all artefacts, dumps and keys of an export, each read to its last byte."""
    found = []
    for name in opened.names("artefact", "dump", "key"):
        found += broken(opened.contents(name, enter=enter), panel, name)
    return found


def dumps(panel, results, wanted=None):
    """Findings of SQL dumps: cut short, or saying nothing.

    results: {database: what _dumps.Scan.result() said}. wanted: {database: {"tables": n, "rows": n}}, as far as the live server told; a database that is in it
    and has no dump is missing; one that has rows there and none here is empty.
    """
    found = []
    for name in sorted(set(wanted or {}) | set(results)):
        said, live = results.get(name), (wanted or {}).get(name) or {}
        if said is None:
            title, evidence = "there is no dump of it", "the inventory has it, the export does not"
            found.append(_inventory.finding("panel.object.missing", panel, "database", name, title, evidence, AGAIN, change="missing"))
            continue
        if not said["whole"]:
            found.append(_inventory.finding("panel.dump.incomplete", panel, "database", name, "its dump is not whole", said["why"], AGAIN))
            continue
        here = {"tables": len(said["tables"]), "rows": sum(said["tables"].values())}
        lost = ["%d %s, %s were there" % (here[key], key, live[key]) for key in ("tables", "rows") if int(live.get(key) or 0) and not here[key]]
        fewer = here["tables"] < int(live.get("tables") or 0)
        if lost:
            found.append(_inventory.finding("panel.dump.empty", panel, "database", name, "its dump says nothing", "; ".join(lost), AGAIN))
        elif fewer:
            evidence = "%d of %d tables" % (here["tables"], int(live["tables"]))
            found.append(_inventory.finding("panel.dump.incomplete", panel, "database", name, "tables are not in its dump", evidence, AGAIN))
        elif not here["tables"] and wanted is None:
            found.append(_inventory.finding("panel.dump.empty", panel, "database", name, "its dump has no table", "%d bytes" % said["bytes"], AGAIN))
    return found


def said(panel, lines, errors, harmless=(), kind="export", name=""):
    """Findings of what the panel said: a line that matches one of errors (regular expressions) and none of harmless."""
    wrong = [line for line in lines if any(re.search(e, line) for e in errors) and not any(re.search(h, line) for h in harmless)]
    if not wrong:
        return []
    remedy = "read the panel's log, repair what it names, and export again"
    evidence = "; ".join(line.strip()[:200] for line in _export.redacted(wrong[:3])) + ("; and %d more lines" % (len(wrong) - 3) if len(wrong) > 3 else "")
    return [_inventory.finding("panel.said", panel, kind, name, "the panel complained while it exported", evidence, remedy)]


def unproven(panel, why, remedy, name=""):
    """What keeps an export from being proven although nothing is wrong with it."""
    return _inventory.finding("panel.unproven", panel, "export", name, "nobody has proven this export", why, remedy)


def verdict(findings):
    """proven, unproven or failed: an error is one whatever else is good, and what was not proven is not."""
    blockers = [finding.id for finding in findings if finding.severity == "blocker"]
    if any(ident != "panel.unproven" for ident in blockers):
        return "failed"
    return "unproven" if blockers else "proven"


def judge(driver, opened):
    """(findings, verdict) of an export: its stored files, the driver's own look at everything in it, and what the driver did not read."""
    document, panel = opened.document, opened.panel
    found = []
    try:
        found += _export.check(opened.directory, document)
        if verdict(found) == "failed":
            # a panel's parser is not fed with what is damaged; what the damage hit is told as far as an archive tells it
            for name in [n for n in opened.names("artefact", "dump") if not opened.encrypted(n) and os.path.isfile(opened.stored(n))]:
                found += broken(opened.contents(name), panel, name)
            return _named(found, document), verdict(found)
        found += _about(opened, panel)
        if hasattr(driver, "verify"):
            found += standing(opened, lambda inventory: driver.verify(opened, inventory, document["mode"]))
        else:
            found.append(unproven(panel, "the driver %s has no verification" % driver.NAME, "compare the export with the panel by hand"))
        for name in opened.names():
            told = None if name in opened.digests else opened.contents(name)
            found += broken(told, panel, name) if told and name in opened.names("artefact", "dump", "key") else []
            if opened.digests[name] != opened.sha256(name):
                title, evidence = "a file is not what the panel wrote", "its sha256 is another one after decryption"
                found.append(_inventory.finding("panel.export.corrupt", panel, "file", name, title, evidence, AGAIN))
    except IntactError as exc:
        found.append(_inventory.finding("panel.export.failed", panel, "export", "", "the export could not be read", str(exc), AGAIN))
    except Exception as exc:  # damage may be of a kind that the driver's author did not think of
        found.append(_inventory.finding("panel.export.failed", panel, "export", "", "the export could not be read", defect(driver, exc), AGAIN))
    return _named(found, document), verdict(found)


def defect(driver, exc):
    """What an unexpected exception says, for an operator and for us."""
    return _export.redacted(["%s: %s (a defect in the driver %s: please report it)" % (type(exc).__name__, str(exc)[:200], driver.NAME)])[0]


def standing(opened, look):
    """look(inventory) -> findings, with the inventory from before the export; what it says of objects stands when it says it of the later one too."""
    found = look(opened.inventory())
    if _export.LATER not in opened.names() or not any(finding.id in MOVING for finding in found):
        return found
    later = opened.inventory(_export.LATER)
    still = {}
    for finding in look(later):
        still.setdefault((finding.id, finding.subject), []).append(finding.details.get("attributes"))
    held = [finding for finding in found if finding.id not in MOVING or (finding.id, finding.subject) in still]
    return [finding for finding in held if finding.id != "panel.object.changed" or not _moved(finding, still[finding.id, finding.subject], opened, later)]


def _moved(finding, others, opened, later):
    """Whether each attribute is as one of two inventories has it, or a plain value that moves all the time. A short roster or measure is not excused.

    others: the attributes that are told of the same object by the later inventory.
    """
    if not all([finding.details.get("attributes"), *others]):
        return False
    kind, name = finding.details["kind"], finding.details["name"]
    before, after = (document["objects"].get(kind, {}).get(name, {}) for document in (opened.inventory(), later))
    both = set(finding.details["attributes"]) & {key for names in others for key in names}
    return all(not isinstance(before.get(key), list) and key not in _inventory.MEASURES and before.get(key) != after.get(key) for key in both)


def _about(opened, panel):
    document, found, inventory = opened.document, [], opened.inventory()
    for name, digest in ((_export.INVENTORY, document["inventory"]), (_export.LATER, document.get("later"))):
        if digest and _inventory.digest(opened.inventory(name)) != digest:
            title, evidence = "the inventory is not the one that the export was made with", "its sha256 is another one"
            found.append(_inventory.finding("panel.export.corrupt", panel, "file", name, title, evidence, AGAIN))
    if not any(inventory["objects"].values()):
        found.append(unproven(panel, "the inventory names no object at all", "check whether the panel's database could be read, and export again"))
    for entry in inventory["unlooked"]:
        found.append(unproven(panel, "the inventory lacks %s: %s" % (entry["what"], entry["why"]), "make it readable, and export again", entry["what"]))
    if document["rc"]:
        title, evidence = "the panel's program did not end well", "status %s" % document["rc"]
        remedy = "the export was judged by what is in it; read what the panel said"
        found.append(_inventory.finding("panel.said", panel, "export", "", title, evidence, remedy, severity="warning"))
    return found


def _named(findings, document):
    """Which host and which export each finding is about."""
    for finding in findings:
        finding.details.setdefault("host", document.get("host", ""))
        finding.details.setdefault("export", document.get("id", ""))
    return findings
