# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives in archives: every member to its last byte, and the sentence for each kind of damage."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import zipfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _archives, _compressed, _dumps, _tar

SQL = b"-- MySQL dump 10.13\nINSERT INTO `a` VALUES (1),(2);\n-- Dump completed\n"


def tar(members, form=tarfile.GNU_FORMAT, pax=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.pax_headers = dict(pax or {})
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                content = b""
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def zstd(data):
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def walk(data, name="export.tar", **more):
    return _archives.walk(name, source=io.BytesIO(data), **more)


INNER = tar({"mysql/shop.sql": SQL, "n" * 150: b"long"})
PACKERS = {"tgz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress, "tar.zst": zstd}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("ending", sorted(PACKERS))
def test_members_of_nested_archives_are_told_by_their_way(ending, form):
    packed = PACKERS[ending](INNER)
    told = walk(tar({"./clients." + ending: packed, "info.xml": b"<x/>", "link": "info.xml"}, form))
    assert told.broken == [] and told.cut == [] and told.kind == "tar"
    assert set(told.members) == {"clients." + ending, "clients.%s!mysql/shop.sql" % ending, "clients.%s!%s" % (ending, "n" * 150), "info.xml", "link"}
    assert told.members["clients." + ending][:2] == (len(packed), hashlib.sha256(packed).hexdigest())
    assert told.members["clients.%s!mysql/shop.sql" % ending] == (len(SQL), hashlib.sha256(SQL).hexdigest(), "file", "")
    assert told.members["link"].kind == "symlink" and told.members["link"].target == "info.xml"
    assert told.files(".sql") == ["clients.%s!mysql/shop.sql" % ending]


def test_the_outermost_name_is_left_out_and_what_is_packed_alone_has_its_own():
    assert set(walk(gzip.compress(INNER), "backup.tar.gz").members) == {"mysql/shop.sql", "n" * 150}
    assert set(walk(gzip.compress(SQL), "mysql.daily.dump.0.gz").members) == {"mysql.daily.dump.0"}
    assert set(walk(tar({"a.sql.gz": gzip.compress(SQL)})).members) == {"a.sql.gz", "a.sql.gz!a.sql"}
    plain = walk(b"<xml/>", "info.xml")
    assert (plain.kind, plain.size, set(plain.members)) == ("file", 6, {"info.xml"}) and plain.sha256 == hashlib.sha256(b"<xml/>").hexdigest()
    assert walk(gzip.compress(b"a") + gzip.compress(b"b") + b"\0" * 100, "two.gz").members["two"].size == 2


def test_members_are_kept_and_scanned_as_they_pass():
    data = tar({"clients.tgz": gzip.compress(INNER), "big": b"x" * 100})
    told = walk(data, keep=lambda path, size: path.endswith(".sql") or size == 100, scan=lambda path: _dumps.Scan() if path.endswith(".sql") else None)
    assert told.kept == {"clients.tgz!mysql/shop.sql": SQL, "big": b"x" * 100}
    assert told.scanned["clients.tgz!mysql/shop.sql"]["tables"] == {"a": 2} and len(told.scanned) == 1


def test_what_is_wanted_and_too_large_is_told(monkeypatch):
    monkeypatch.setattr(_archives, "MOST_KEPT", 50)
    told = walk(tar({"info.xml": b"x" * 51}), keep=lambda path, size: True)
    assert told.kept == {} and told.broken[0][0] == "info.xml" and "too large" in told.broken[0][1]


def test_a_customers_archive_is_not_taken_apart_when_it_is_not_to_be():
    data = tar({"home/broken.zip": b"PK\x03\x04 no zip", "conf.tgz": gzip.compress(INNER)})
    assert [path for path, _why in walk(data).broken] == ["home/broken.zip"]
    told = walk(data, enter=lambda path: not path.startswith("home/"))
    assert told.broken == [] and "conf.tgz!mysql/shop.sql" in told.members and told.members["home/broken.zip"].kind == "file"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd], ids=["gzip", "bzip2", "xz", "zstd"])
def test_every_cut_and_every_flipped_bit_of_a_packed_archive_is_seen(pack):
    data = pack(tar({"a.xml": os.urandom(3000), "b.xml": b"<b/>"}))
    for length in range(len(data) - 1, 20, -97):
        assert walk(data[:length]).broken, length
    for place in range(20, len(data) - 1, 89):
        damaged = bytearray(data)
        damaged[place] ^= 4
        told = walk(bytes(damaged))
        # some bits of the formats say nothing about the content: then the content is what it was
        assert told.broken or told.members == walk(data).members, place


def test_a_cut_archive_names_what_it_cuts():
    data = tar({"first.xml": b"1", "clients.tgz": gzip.compress(tar({"deep.sql": os.urandom(4000)}))})
    told = walk(data[: data.index(b"clients.tgz") + 2000])
    assert told.broken == [("export.tar", "it ends in the middle of member clients.tgz")]
    assert told.cut == ["clients.tgz!deep.sql", "clients.tgz"] and set(told.members) == {"first.xml"}


def test_an_inner_archive_that_is_broken_does_not_hide_the_others():
    told = walk(tar({"a.tgz": gzip.compress(INNER)[:-30], "b.tgz": gzip.compress(INNER), "c.gz": gzip.compress(b"c")[:-1] + b"\xff"}))
    assert [path for path, _why in told.broken] == ["a.tgz", "c.gz"]
    assert "b.tgz!mysql/shop.sql" in told.members and told.members["a.tgz"].kind == "gzip" and "c.gz!c" not in told.members


def test_damage_that_pythons_tarfile_takes_for_the_end():
    data = bytearray(tar({"a": b"1", "b": b"2"}))
    data[1024 + 10] ^= 1
    with tarfile.open(fileobj=io.BytesIO(bytes(data))) as archive:
        assert archive.getnames() == ["a"]  # without a word
    told = walk(bytes(data))
    assert told.broken == [("export.tar", "the header at byte 1024 is damaged")] and set(told.members) == {"a"}


@pytest.mark.parametrize(
    "data, why",
    [
        (INNER[: len(INNER) - 10240 + 1024], "cut short|middle"),
        (tar({"a": b""})[:512], "its end mark is missing"),
        (tar({"a": b""})[:1024], "its end mark is not whole"),
        (tar({"a": b""}) + b"more", "4 bytes stand behind its end"),
        (gzip.compress(b"x") + b"more", "4 bytes stand behind its end"),
        (gzip.compress(b"x" * 100)[:-9], "cut short"),
        (zipped({"a": b"1"})[:-10], "cut short or damaged"),
        (tar({"a": b"1"}, tarfile.PAX_FORMAT, pax={"size": "-5"}), "a length below zero"),
        (b"", "it is empty"),
        (b"x" + tar({"a": b"1"}), "its first bytes are not"),
    ],
)
def test_why_an_archive_is_broken(data, why):
    ((path, said),) = walk(data).broken
    assert path == "export.tar" and re.search(why, said)


def test_one_broken_member_of_a_zip_leaves_the_others_readable():
    data = bytearray(zipped({"a.xml": os.urandom(200), "b.xml": b"<b/>"}))
    data[60] ^= 1
    told = walk(bytes(data), "export.zip")
    assert [path for path, _why in told.broken] == ["a.xml"] and set(told.members) == {"b.xml"} and told.cut == ["a.xml"]


def test_bombs_and_endless_nesting_end(monkeypatch):
    data = b"x"
    for _level in range(_archives.DEEPEST + 2):
        data = gzip.compress(data)
    ((_path, why),) = walk(data).broken
    assert "deep" in why
    monkeypatch.setattr(_compressed, "BOMB_BYTES", 1 << 20)
    told = walk(bz2.compress(bytes(8 << 20)), "big.bz2")
    assert "made to fill a disk" in told.broken[0][1] and told.cut == ["big"] and told.members == {}
    assert walk(gzip.compress(os.urandom(2 << 20)), "big.gz").broken == []


def test_names_that_are_no_text_and_an_exclamation_mark_are_escaped():
    raw = "a\udcff!b\n".encode("utf-8", "surrogateescape")
    data = bytearray(tar({"x" * len(raw): b""}))
    data[: len(raw)] = raw
    header = bytes(data[:148]) + b" " * 8 + bytes(data[156:512])
    data[148:156] = b"%06o\0 " % sum(header)
    assert _tar.told(bytes(data)) and set(walk(bytes(data)).members) == {"a\\xff\\x21b\\x0a"}


def test_without_zstd_the_archive_is_not_taken_for_whole(monkeypatch):
    data = zstd(INNER)
    monkeypatch.setattr(_compressed._command, "which", lambda program: None)
    assert "not installed" in walk(data).broken[0][1]
