# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pickles of Python 2: read to the letter, and nothing in them runs."""

from __future__ import annotations

import os
import pickle

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _pickle
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import mailman2


@pytest.mark.parametrize("protocol", [0, 2])
def test_reads_what_python_2_wrote(protocol):
    told = _pickle.read(mailman2.dumps(mailman2.config("alle"), protocol), "it")
    assert told["description"] == "Gr\xfc\xdfe an alle" and told["usernames"]["bob@example.com"] == "B\xf6b"
    assert told["members"] == {"ann@example.com": 0, "bob@example.com": "Bob@example.com"}
    assert told["delivery_status"]["ann@example.com"] == [2, 1200000000.0]
    assert told["bounce_info"]["ann@example.com"] == {"member": "ann@example.com", "score": 1.0}


def test_texts_are_in_the_list_s_charset():
    data = {b"preferred_language": b"ru", b"description": "\u0441\u043f\u0438\u0441\u043e\u043a".encode("koi8-r"), b"info": "\u0441".encode()}
    told = _pickle.read(mailman2.dumps(data), "it")
    assert told["description"] == "\u0441\u043f\u0438\u0441\u043e\u043a" and told["info"] == "\u0441"


class Hostile:
    def __init__(self, *words):
        self.words = words

    def __reduce__(self):
        return self.words


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'touch %s'\ntR.",
        b'c__builtin__\neval\n(S\'open("%s","w")\'\ntR.',
        b"csubprocess\nPopen\n((lS'touch'\naS'%s'\natR.",
        b"c__builtin__\n__import__\n(S'os'\ntR.",
        b"(S'touch %s'\nios\nsystem\n.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.",
        b"cMailman.Bouncer\n_BounceInfo.__init__.__globals__\n.",
        b"(dS'a'\nP0\ns.",
    ],
)
def test_hostile_pickles_do_not_run(tmp_path, code):
    mark = tmp_path / "ran"
    os.chmod(str(tmp_path), 0o777)
    data = code % str(mark).encode() if b"%s" in code else code
    if b"system" in code and code.startswith(b"cos"):
        # the control: it does run where pickles are loaded as they come
        pickle.loads(data)
        assert mark.exists()
        mark.unlink()
    with pytest.raises(IntactError, match="can't be read"):
        _pickle.read(data, "config.pck of the list evil")
    assert not mark.exists()


def test_the_reader_is_confined(tmp_path, monkeypatch):
    """Even code that got through the table could do nothing: told by the reader's own process."""

    def escape_attempt(_data):
        said = {"uid": os.getuid(), "groups": os.getgroups(), "directory": os.getcwd()}
        for name, act in (
            ("open", lambda: os.open("/etc/passwd", os.O_RDONLY)),
            ("fork", os.fork),
            ("write", lambda: os.open(str(tmp_path / "x"), os.O_WRONLY | os.O_CREAT)),
        ):
            try:
                act()
                said[name] = "done"
            except OSError as exc:
                said[name] = exc.errno
        return said

    monkeypatch.setattr(_pickle, "_read", escape_attempt)
    told = _pickle.read(b"", "it")
    assert told["open"] != "done" and told["write"] != "done"
    if os.geteuid() == 0:
        assert told["uid"] == _pickle.NOBODY and told["groups"] == [] and told["fork"] != "done"


@pytest.mark.parametrize("data", [b"", b"no pickle", mailman2.dumps(mailman2.config("alle"))[:200], mailman2.dumps([1, 2]), b"\x80\x02" + b"]" * 9 + b"."])
def test_damaged_ones_are_told(data):
    with pytest.raises(IntactError, match="can't be read"):
        _pickle.read(data, "config.pck")


def test_a_bomb_is_ended():
    # a list that is doubled 40 times over
    data = b"\x80\x02U\x01aU\x10" + b"a" * 16 + b"]q\x00" + b"h\x00" * 4 + b"."
    deep = b"\x80\x02" + b"]" * 1 + b"]" * 100000 + b"a" * 100000 + b"."
    for bomb in (data, deep, b"\x80\x02T\xff\xff\xff\x7f"):
        with pytest.raises(IntactError, match="can't be read"):
            _pickle.read(bomb, "it")
