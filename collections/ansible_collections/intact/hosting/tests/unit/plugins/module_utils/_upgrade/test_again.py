# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a power cut may have taken back of packages that dpkg calls done."""

from __future__ import annotations

import io
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _again, _questions


def test_only_what_was_changed_in_the_end_is_uncertain():
    times = {"old": 1000.0, "early": 5000.0, "late": 5100.0, "last": 5200.0}
    assert _again.recent(times, 0) == {"late", "last"}
    assert _again.recent(times, 5150) == {"last"}
    assert _again.recent(times, 6000) == set()
    assert _again.recent({}, 0) == set()


def test_archives_are_found_by_name_version_and_architecture():
    text = "lab lab all 1:2.0-1 installed\nlibc6:amd64 libc6 amd64 2.41 unpacked\nperl perl amd64 5.40 installed\nold old all 1 config-files\n"
    there = {"lab_1%3a2.0-1_all.deb", "libc6_2.41_amd64.deb", "perl_5.40_amd64.deb", "old_1_all.deb"}
    assert _again.archives(text, {"lab", "libc6:amd64", "old"}, there) == {"lab": "lab_1%3a2.0-1_all.deb", "libc6:amd64": "libc6_2.41_amd64.deb"}
    assert _again.archives(text, {"lab"}, set()) == {}


def test_an_emptied_file_is_one_that_nobody_had_changed(tmp_path):
    for name, text in (("lost", ""), ("edited", ""), ("whole", "x"), ("brought-empty", "")):
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to(tmp_path / "lost")
    digest, nothing = _questions.md5(b"x"), _questions.md5(b"")
    recorded = {str(tmp_path / name): digest for name in ("lost", "edited", "whole", "gone", "link")}
    recorded[str(tmp_path / "brought-empty")] = nothing
    assert _again.emptied(recorded, {str(tmp_path / "edited")}) == {str(tmp_path / "lost"): digest}


def test_only_content_that_dpkg_recorded_is_put_back():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in (("./etc/lab/a.conf", b"a"), ("./etc/lab/b.conf", b"b"), ("./etc/lab/.c", b"c")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    wanted = {"/etc/lab/a.conf": _questions.md5(b"a"), "/etc/lab/b.conf": _questions.md5(b"other"), "/etc/lab/.c": _questions.md5(b"c")}
    assert _again.content(stream.getvalue(), wanted) == {"/etc/lab/a.conf": b"a", "/etc/lab/.c": b"c"}
