# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""apt's sources in both formats: what is read, what is refused with its line, and what is written back."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources as apt
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

STANZA = """# a comment
Types: deb deb-src
URIs: http://mirror.example.com/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/x.gpg
"""


def test_one_line_entries_with_options_and_comments():
    text = "# deb http://old/ bookworm main\n\ndeb [arch=amd64,i386 signed-by=/k.gpg] http://a.example.com/d bookworm main contrib # why\n"
    (source,), wrong = apt.parse(text, "/etc/apt/sources.list")
    assert not wrong
    assert (source.subject, source.uris, source.suites, source.components) == (
        "/etc/apt/sources.list:3",
        ["http://a.example.com/d"],
        ["bookworm"],
        ["main", "contrib"],
    )
    assert source.options == {"architectures": ["amd64", "i386"], "signed-by": ["/k.gpg"]}


@pytest.mark.parametrize(
    "line, why",
    [
        ("dep http://a/ bookworm main", "not with 'dep'"),
        ("deb http://a/", "a URI and a suite"),
        ("deb http://a/ bookworm", "needs a component"),
        ("deb http://a/ ./ main", "takes no components"),
        ("deb [signed-by=/k http://a/ bookworm main", "not closed"),
        ("deb [trusted] http://a/ bookworm main", "not name=value"),
        ("deb bookworm main contrib", "not a URI"),
    ],
)
def test_an_unreadable_line_is_told_with_file_line_and_reason(line, why):
    sources, (wrong,) = apt.parse("# first\n%s\n" % line, "/etc/apt/sources.list.d/x.list")
    assert not sources
    assert (wrong.file, wrong.line) == ("/etc/apt/sources.list.d/x.list", 2)
    assert why in wrong.why


def test_deb822_stanzas():
    text = STANZA + "\nTypes: deb\nURIs: http://b/\nSuites: ./\nEnabled: no\n"
    (first, second), wrong = apt.parse(text, "x.sources")
    assert not wrong
    assert first.types == ["deb", "deb-src"] and first.suites == ["bookworm", "bookworm-updates"] and first.components == ["main", "contrib"]
    assert first.line == 2 and first.enabled
    assert not second.enabled and second.line == 9
    # apt counts stanzas where we count lines
    assert (first.entry, second.entry, second.subject) == ("x.sources:1", "x.sources:2", "x.sources:9")


@pytest.mark.parametrize(
    "text, line, why",
    [
        ("Types: deb\nURIs http://a/\n", 2, "not Field: value"),
        (" main\nTypes: deb\n", 1, "without a field before"),
        ("Types: deb\nSuites: bookworm\nComponents: main\n", 1, "Uris missing"),
        ("\nTypes: rpm\nURIs: http://a/\nSuites: b\nComponents: main\n", 2, "only deb and deb-src"),
        ("Types: deb\nURIs: http://a/\nURIs: http://b/\nSuites: b\nComponents: main\n", 3, "given twice"),
    ],
)
def test_an_unreadable_stanza_is_told(text, line, why):
    _sources, wrong = apt.parse(text, "x.sources")
    assert (wrong[0].line, why in wrong[0].why) == (line, True)


def test_rendering_reads_back_the_same_and_keeps_an_inline_key():
    key = "Types: deb\nURIs: http://a/\nSuites: b\nComponents: main\nSigned-By:\n"
    key += " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd\n -----END PGP PUBLIC KEY BLOCK-----\n"
    for text in (STANZA, key):
        (source,), _wrong = apt.parse(text, "x.sources")
        (again,), wrong = apt.parse(apt.render(source), "x.sources")
        assert not wrong
        again.line = source.line
        assert again.ordinal == source.ordinal
        assert again == source


def test_all_files_that_apt_reads_and_no_other():
    host = FakeSystem(
        files={
            "/etc/apt/sources.list": "deb http://a/ b main\n",
            "/etc/apt/sources.list.d/x.sources": STANZA,
            "/etc/apt/sources.list.d/y.list.save": "nonsense",
            "/etc/apt/sources.list.d/z.list": "nonsense\n",
        }
    )
    sources, wrong, ignored = apt.read_all(host)
    assert [s.file for s in sources] == ["/etc/apt/sources.list", "/etc/apt/sources.list.d/x.sources"]
    assert [w.file for w in wrong] == ["/etc/apt/sources.list.d/z.list"]
    assert ignored == ["/etc/apt/sources.list.d/y.list.save"]


def test_a_password_never_shows():
    (source,), _wrong = apt.parse("deb https://user:secret@a.example.com/d bookworm main\n", "x.list")
    assert "secret" not in source.words and "a.example.com" in source.words


@pytest.mark.parametrize("suite, base", [("bookworm", "bookworm"), ("bookworm-updates", "bookworm"), ("bullseye/updates", "bullseye"), ("stable", "stable")])
def test_suite_base(suite, base):
    assert apt.suite_base(suite) == base
