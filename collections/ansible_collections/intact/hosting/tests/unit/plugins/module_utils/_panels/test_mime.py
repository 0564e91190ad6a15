# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plesk 7/8's multipart: every encoding, nesting, damage at every byte, blocks cut anywhere. No Plesk wrote these: the shape is from the format's readers."""

from __future__ import annotations

import base64
import gzip
import io
import quopri
import random
import tarfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _archives, _mime
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import Broken, Reader

TOP = b'Dumped-Psa-Version: 8.6.0\nContent-Type: multipart/mixed; boundary="%s"\n\n'


def part(name, body, encoding="binary", newline=b"\n", more=b""):
    raw = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(encoding, bytes)(body)
    head = b'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="%s"\nContent-Transfer-Encoding: %s\n%s\n'
    return (head % (name.encode(), encoding.encode(), more)).replace(b"\n", newline) + raw


def stream(*parts, boundary=b"_b_", newline=b"\n", top=TOP):
    out = (top % boundary if top else b"").replace(b"\n", newline)
    for one in parts:
        out += b"--" + boundary + newline + one + newline
    return out + b"--" + boundary + b"--" + newline


def read(data, step=None):
    """[(name, body or why it is broken)], and why the stream is broken."""
    handle = io.BytesIO(data)
    source = Reader(lambda: handle.read(step or 65536))
    out = []
    try:
        for name, _kind, _size, body, _target in _mime.members(source):
            try:
                out.append((name, b"".join(iter(body.read, b""))))
            except Broken as exc:
                if not exc.alone:
                    raise
                out.append((name, exc.why))
    except Broken as exc:
        return out, exc.why
    return out, ""


BINARY = bytes(range(256)) * 3 + b"\r\n--_b\n--_b_x\n--_b_-\n-- \n\r"
TEXT = "<dump version='8'>\n\t=?Grüße = \r\n</dump>".encode()


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("encoding", ["binary", "7bit", "8bit", "base64", "quoted-printable", "BASE64"])
def test_each_encoding_gives_the_bytes_back(encoding, newline):
    body = TEXT if encoding in ("7bit", "quoted-printable") else BINARY
    if encoding == "quoted-printable":
        body = body.replace(b"\r\n", b"\n")
    raw = stream(part("dump.xml", body, encoding.lower(), newline), part("a.b/c", b"", encoding, newline), newline=newline)
    assert read(raw.replace(encoding.lower().encode(), encoding.encode())) == ([("dump.xml", body), ("a.b/c", b"")], "")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_blocks_may_be_cut_anywhere(newline):
    inner = stream(part("in", BINARY, newline=newline), part("in2", TEXT, "base64", newline), boundary=b"_b_2", newline=newline, top=b"")
    nested = b'Content-Type: multipart/mixed; boundary="_b_2"'.replace(b"\n", newline) + newline * 2 + b"preamble" + newline + inner
    raw = stream(part("first", BINARY, newline=newline), nested, part("q", b"a = b " * 40, "quoted-printable", newline), newline=newline)
    wanted = [("first", BINARY), ("in", BINARY), ("in2", TEXT), ("q", b"a = b " * 40)]
    for step in list(range(1, 40)) + [64, 100, 1000]:
        assert read(raw, step) == (wanted, ""), step


def test_a_signed_file_comes_out_flat_and_the_signature_is_a_part():
    inner = stream(part("dump.xml", TEXT), boundary=b"in", top=b"")
    signed = stream(b"Content-Type: multipart/mixed; boundary=in\n\n" + inner, part("smime.p7s", b"sign", "base64"), boundary=b"out")
    assert read(signed) == ([("dump.xml", TEXT), ("smime.p7s", b"sign")], "")


def test_plesk_7_names_parts_by_content_id_and_its_description_by_type():
    top = b"Dumped-Psa-Version: 7.5.4\nContent-Type: multipart/related;\n boundary=x1\n\n"
    raw = top + b"--x1\nContent-Type: text/xml\n\n<a/>\n--x1\nContent-ID: <home.42>\nContent-Type: x/y\n\nbytes\n--x1\n\nbare\n--x1--\n"
    assert read(raw) == ([("dump.xml", b"<a/>"), ("home.42", b"bytes"), ("part-3", b"bare")], "")


def test_what_looks_like_a_boundary_is_none():
    body = b"--_b_ x\n--_b_--y\nx--_b_\n --_b_\n--_B_\n--_b_" + b" " * 600 + b"\n"
    assert read(stream(part("a", body))) == ([("a", body)], "")
    # the longer of two boundaries of which one begins the other
    inner = b"Content-Type: multipart/mixed; boundary=_b__\n\n--_b__\n\nx\n--_b__--\n"
    assert read(stream(inner, part("z", b"1"))) == ([("part-2", b"x"), ("z", b"1")], "")


def test_the_last_line_needs_no_newline_and_blanks_behind_a_boundary_are_nothing():
    raw = stream(part("a", b"1")).rstrip(b"\n").replace(b"\n--_b_\n", b"\n--_b_ \t\n")
    assert read(raw) == ([("a", b"1")], "")
    assert read(raw + b"\n\r\n \n") == ([("a", b"1")], "")


@pytest.mark.parametrize("step", [7, 65536])
def test_cut_anywhere_it_is_broken(step):
    raw = stream(part("dump.xml", TEXT), part("b", BINARY, "base64"), b"Content-Type: multipart/mixed; boundary=in\n\n--in\n\nx\n--in--\n")
    for size in range(raw.index(b"--_b_"), len(raw) - 3):
        assert read(raw[:size], step)[1], size
    assert read(raw)[1] == ""


def test_a_cut_part_is_named():
    assert read(stream(part("dump.xml", TEXT), part("mail.tar", BINARY))[:-30])[1] == (
        "it ends without its closing boundary, in the middle of mail.tar: it is cut short"
    )


@pytest.mark.parametrize(
    "body, why",
    [
        (b"QUJD*UJD", "it holds characters that are no base64"),
        (b"QUJDQUI", "its base64 is cut short"),
        (b"QUI=QUJD", "its base64 goes on behind its end"),
        (b"Q===", "its base64 goes on behind its end"),
        (b"QUJDQUI=\nQUJD\n", "its base64 goes on behind its end"),
    ],
)
def test_base64_is_read_strictly_and_the_next_part_is_read(body, why):
    raw = stream(b"Content-ID: a\nContent-Transfer-Encoding: base64\n\n" + body, part("next", b"2"))
    assert read(raw) == ([("a", why), ("next", b"2")], "")


def test_quoted_printable_is_read_strictly():
    head = b"Content-ID: a\nContent-Transfer-Encoding: quoted-printable\n\n"
    assert read(stream(head + b"ok =3D =\nmore =\xff"))[0] == [("a", "it holds escapes that are no quoted-printable")]
    assert read(stream(head + b"a=3D=\n=\n b  \n\tc"))[0] == [("a", b"a= b\n\tc")]
    assert read(stream(head + b"x" * 400000))[0] == [("a", "it has a line that is too long for quoted-printable")]


@pytest.mark.parametrize(
    "raw, why",
    [
        (b"Dumped-Psa-Version: 8\n\nx", "its headers name no boundary: its parts can't be told apart"),
        (stream(part("a", b"1")) + b"more", "4 bytes stand behind its closing boundary"),
        (stream(part("a", b"1"), part("a", b"2")), "it holds a twice"),
        (stream(b"Content-Typ\xff\nContent-ID: a\n\n1"), "a line of the headers of part 1 is no header"),
        (stream(b"Content-Type: multipart/mixed; boundary=in\n\n--in\n\nx"), "a multipart in it ends without its closing boundary"),
        (TOP % b"x" + b"--x\nA: " + b"b" * 70000, "the headers of part 1 do not end"),
        (TOP % b"x" + b"--x\nA: b\n", "it ends in the middle of the headers of part 1"),
    ],
)
def test_what_is_wrong_with_the_stream_is_told(raw, why):
    assert read(raw)[1] == why


def test_an_unknown_encoding_and_nesting_without_end_are_told():
    assert read(stream(part("a", b"1", "uuencode")))[0] == [("a", "its encoding uuencode is not known")]
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(20))
    assert read(stream(deep))[1] == "multiparts lie more than 8 deep in each other"


def test_only_plesk_s_own_header_makes_it_one():
    assert _mime.told(stream(part("a", b"1")))
    assert _mime.told(stream(part("a", b"1"), newline=b"\r\n"))
    mail = b"From: a@example.com\nContent-Type: multipart/mixed; boundary=x\n\nDumped-Psa-Version: 8\n--x\n"
    assert not _mime.told(mail) and not _mime.told(b"") and not _mime.told(b"\x1f\x8b\x08")


def test_walk_reads_it_through_gzip_and_the_archives_in_it(tmp_path):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as handle:
        entry = tarfile.TarInfo("index.html")
        entry.size = 5
        handle.addfile(entry, io.BytesIO(b"hello"))
    mail = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=never\n\n--never\n\ncut off\n"
    raw = stream(part("dump.xml", TEXT), part("example.com.httpdocs", tar.getvalue()), part("mbox", mail))
    path = tmp_path / "all.gz"
    path.write_bytes(gzip.compress(raw))
    contents = _archives.walk(str(path), keep=lambda name, size: name.endswith(".xml"))
    assert not contents.broken and not contents.cut
    assert sorted(contents.members) == ["dump.xml", "example.com.httpdocs", "example.com.httpdocs!index.html", "mbox"]
    assert contents.kept == {"dump.xml": TEXT} and contents.members["example.com.httpdocs!index.html"].size == 5
    # a part whose archive is damaged is named, and all others are read
    damaged = bytearray(tar.getvalue())
    damaged[len(damaged) // 2] ^= 4
    path.write_bytes(stream(part("dump.xml", TEXT), part("example.com.httpdocs", bytes(damaged)), part("mbox", mail)))
    contents = _archives.walk(str(path))
    assert [name for name, _why in contents.broken] == ["example.com.httpdocs"] and "mbox" in contents.members
    path.write_bytes(stream(part("dump.xml", TEXT), part("mbox", mail))[:-20])
    contents = _archives.walk(str(path))
    assert [name for name, _why in contents.broken] == ["all.gz"] and contents.cut == ["mbox"]


def test_one_flipped_bit_under_gzip_is_always_found(tmp_path):
    raw = gzip.compress(stream(part("dump.xml", TEXT), part("b", BINARY)), mtime=0)
    # what gzip does not check: the time, the system, and flags that say nothing; and a stream without its magic number is none
    unchecked = set(range(10))
    path = tmp_path / "all"
    path.write_bytes(raw)
    whole = _archives.walk(str(path)).members
    for at in set(range(len(raw))) - unchecked:
        damaged = bytearray(raw)
        damaged[at] ^= 1 << random.Random(at).randrange(8)
        path.write_bytes(bytes(damaged))
        contents = _archives.walk(str(path))
        # the last bits of a deflate stream may be padding: then nothing was lost
        assert contents.broken or contents.members == whole, at


def test_a_large_part_is_never_held(tmp_path):
    import tracemalloc

    block = bytes(random.Random(1).randrange(256) for _no in range(1 << 16))
    parts = (TOP % b"_b_" + b"--_b_\nContent-ID: big\n\n", 300, b"\n--_b_--\n")

    def blocks():
        yield parts[0]
        for _no in range(parts[1]):
            yield block
        yield parts[2]

    source = blocks()
    tracemalloc.start()
    (entry,) = [(name, sum(len(b) for b in iter(body.read, b""))) for name, _k, _s, body, _t in _mime.members(Reader(lambda: next(source, b"")))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert entry == ("big", 300 << 16) and peak < 4 << 20
