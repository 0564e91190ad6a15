# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing, less than expected, much less than before, and an emptied place among many: never success."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes, _manifest


def manifest(counts, objects=None, unlooked=()):
    return {"class": "files", "counts": counts, "objects": objects or {}, "unlooked": list(unlooked)}


def judged(now, before=None, **options):
    return [(f.id, f.subject, f.severity) for f in _manifest.judge(now, before or {}, options, "files")]


def test_nothing_at_all():
    assert judged(manifest({"files": 0})) == [("backup.class.empty", "files", "blocker")]


def test_below_the_floor():
    assert judged(manifest({"files": 9}), floor={"files": 10, "bytes": 0}) == [("backup.class.floor", "files files", "blocker")]


def test_a_drop_is_more_than_so_many_percent():
    before = {"counts": {"files": 100, "entries": 900}}
    assert judged(manifest({"files": 70}), before, drop_percent=30) == []
    assert judged(manifest({"files": 69}), before, drop_percent=30) == [("backup.class.drop", "files files", "blocker")]


def test_an_emptied_place_is_named_once_at_its_top():
    before = {"counts": {"files": 1000}, "objects": {"/srv": 1000, "/srv/a": 20, "/srv/a/htdocs": 20, "/srv/a-b": 4, "/srv/c": 900}}
    now = manifest({"files": 980}, {"/srv": 980, "/srv/a": 0, "/srv/c": 980})
    assert judged(now, before) == [("backup.class.empty", "files /srv/a", "blocker")]


def test_what_could_not_be_seen():
    told = manifest({"files": 5}, unlooked=[{"section": "files", "what": "/srv/x", "why": "EIO"}, {"section": "cron", "what": "timers", "why": "no bus"}])
    assert judged(told) == [("backup.source.unreadable", "files /srv/x", "blocker"), ("backup.source.unreadable", "files timers", "warning")]


def test_files_are_counted_at_each_level():
    items = {"/srv": {"type": "dir"}, "/srv/a/b/c/d/e/file": {"type": "file"}, "/srv/file": {"type": "file"}, "/srv/empty": {"type": "dir"}}
    items["/srv/a/packaged"] = {"type": "file", "origin": "conffile-unmodified"}
    counted = _eyes.files_below({"items": items})
    assert counted == {"/srv": 2, "/srv/empty": 0, "/srv/a": 1, "/srv/a/b": 1, "/srv/a/b/c": 1}


def test_packed_and_unpacked():
    document = {"schema": 1, "sections": {"files": {"items": {"/caf\\xe9": {}}}}}
    packed, digest = _manifest.pack(document)
    assert _manifest.unpack(packed) == document and len(digest) == 64 and _manifest.pack(document)[1] == digest
