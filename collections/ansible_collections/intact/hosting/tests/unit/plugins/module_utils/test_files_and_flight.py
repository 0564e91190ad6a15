# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and names: what is written survives, what is torn is told."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _files, _flight


@pytest.mark.parametrize("name", [b"plain", "h\xe9".encode(), b"a\nb", b"\xff\xfe", b"back\\slash", b"\\x41", b"tab\tdel\x7f", "\u6f22".encode()])
def test_names_survive(name):
    text = _files.escape(name)
    assert _files.unescape(text) == name
    assert "\n" not in text
    text.encode("utf-8")


def test_write_atomic_keeps_the_old_file_when_the_disk_says_no(tmp_path, monkeypatch):
    path = str(tmp_path / "state.json")
    _files.write_atomic(path, b"old")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        _files.write_atomic(path, b"new")
    assert (tmp_path / "state.json").read_bytes() == b"old"
    assert os.listdir(str(tmp_path)) == ["state.json"]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_torn_line_does_not_swallow_the_next(tmp_path):
    root = str(tmp_path)
    _flight.append("web1-x", "note", root, text="one")
    journal = os.path.join(_flight.directory("web1-x", root), _flight.JOURNAL)
    with open(journal, "ab") as handle:
        handle.write(b'{"event": "no')
    _flight.append("web1-x", "note", root, text="two")
    events, torn = _flight.read("web1-x", root)
    assert [e["text"] for e in events] == ["one", "two"]
    assert torn == 1


def test_documents_survive_gzip(tmp_path):
    path = str(tmp_path / "d.json.gz")
    document = {"name": "\\xff", "n": 1}
    _files.write_document(path, document)
    assert _files.read_document(path) == document


@pytest.mark.parametrize("bad", ["", "../x", "A", "x/y", ".hidden"])
def test_flight_ids_cannot_leave_their_directory(bad):
    with pytest.raises(Exception, match="not a flight id"):
        _flight.check_id(bad)


def test_stages_tell_what_was_cut():
    events = [
        {"event": "stage.start", "stage": "full", "time": "2026-11-22T12:00:00.000Z"},
        {"event": "stage.start", "stage": "full", "time": "2026-11-22T12:01:00.000Z"},
    ]
    assert _flight.stages(events)[0]["result"] is None
    events.append({"event": "stage.end", "stage": "full", "result": "ok", "time": "2026-11-22T12:02:30.000Z"})
    assert _flight.stages(events) == [
        {
            "stage": "full",
            "hop": 1,
            "start": "2026-11-22T12:00:00.000Z",
            "end": "2026-11-22T12:02:30.000Z",
            "seconds": 150.0,
            "result": "ok",
            "attempts": 2,
            "note": "",
        }
    ]


def test_newest_flight_with_a_baseline(tmp_path):
    assert _flight.newest("baseline-before.json.gz", str(tmp_path / "none")) == ""
    for index, name in enumerate(["web1-a", "web1-b"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "baseline-before.json.gz").write_bytes(b"")
        os.utime(str(tmp_path / name / "baseline-before.json.gz"), (index, index))
    assert _flight.newest("baseline-before.json.gz", str(tmp_path)) == "web1-b"


def test_only_plain_files_are_read(tmp_path):
    """A customer's pipe or link to a device must not hold root up for ever, nor fill its memory."""
    os.mkfifo(str(tmp_path / "wp-config.php"))
    os.symlink("/dev/zero", str(tmp_path / "endless"))
    (tmp_path / "plain").write_bytes(b"content")
    os.symlink("plain", str(tmp_path / "link"))
    assert [_files.read_if_exists(str(tmp_path / name)) for name in ("wp-config.php", "endless", "nothing", "plain/below")] == [None] * 4
    assert _files.read_if_exists(str(tmp_path / "link")) == b"content" and _files.read_if_exists(str(tmp_path / "plain"), 3) == b"con"
    assert _files.read_if_exists("/proc/self/stat")
    with pytest.raises(IsADirectoryError):
        _files.read_if_exists(str(tmp_path))


def test_a_line_for_which_there_is_no_room_is_an_error(tmp_path, monkeypatch):
    """A disk that fills up takes the beginning of a line and says nothing: that beginning is taken back, and the next line is whole."""
    path, write = tmp_path / "journal", os.write
    _files.append_durable(str(path), b"a whole line")
    monkeypatch.setattr(_files.os, "write", lambda fd, data: write(fd, data[:3]))
    with pytest.raises(OSError, match="No space left"):
        _files.append_durable(str(path), b"another")
    assert path.read_bytes() == b"a whole line\n"
    monkeypatch.undo()
    _files.append_durable(str(path), b"third")
    assert path.read_bytes() == b"a whole line\nthird\n"
