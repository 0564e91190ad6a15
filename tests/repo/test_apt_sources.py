# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's mirrors are this machine's, in whatever format it keeps them."""

from __future__ import annotations

import pytest

import apt_sources

MAIN = "http://mirror.example.com/debian"
SECURITY = "http://mirror.example.com/debian-security"
VENDOR = "https://vendor.example.net/debian"
DEBIAN = "Origin: Debian\nLabel: Debian\nSuite: stable\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"deb {MAIN} bookworm main", [MAIN]),
        (f"deb [signed-by=/k.gpg arch=amd64] {MAIN} bookworm main contrib", [MAIN]),
        (f"deb\t{MAIN}\tbookworm main # a comment", [MAIN]),
        (f"# deb {MAIN} bookworm main", []),
        (f"deb-src {MAIN} bookworm main", []),
        ("", []),
    ],
)
def test_one_line_format(text, wanted):
    assert apt_sources.parse_list(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"Types: deb\nURIs: {MAIN}\nSuites: bookworm\nComponents: main\n", [MAIN]),
        (f"Types: deb deb-src\nURIs: {MAIN} {SECURITY}\nSuites: a b\n", [MAIN, SECURITY]),
        (f"Types: deb\nURIs:\n {MAIN}\n {SECURITY}\nSuites: a\n", [MAIN, SECURITY]),
        (f"Enabled: no\nTypes: deb\nURIs: {MAIN}\nSuites: a\n", []),
        (f"Types: deb-src\nURIs: {MAIN}\nSuites: a\n", []),
        (f"# comment\nTypes: deb\n# other\nURIs: {MAIN}\n\nTypes: deb\nURIs: {SECURITY}\n", [MAIN, SECURITY]),
    ],
)
def test_deb822_format(text, wanted):
    assert apt_sources.parse_deb822(text) == wanted


def test_configuration_is_read_in_apts_order_and_each_mirror_once(tmp_path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(f"deb {MAIN}/ bookworm main\ndeb cdrom:[x]/ bookworm main\n")
    (parts / "b.list").write_text(f"deb {VENDOR} bookworm main\n")
    (parts / "a.sources").write_text(f"Types: deb\nURIs: {SECURITY} {MAIN}\nSuites: x\n")
    (parts / "c.list.disabled").write_text("deb http://off.example.com/ x main\n")
    assert apt_sources.configured_uris(tmp_path) == [MAIN, SECURITY, VENDOR]


def test_each_suite_comes_from_the_first_mirror_that_is_debian_and_has_it():
    def fetch(uri, suite):
        if uri == VENDOR:
            return "Origin: Vendor\nSuite: bookworm\n"  # third parties use Debian's suite names too
        return DEBIAN if (uri == SECURITY) == suite.endswith("-security") else ""

    assert apt_sources.source_lines("bookworm", [VENDOR, SECURITY, MAIN], fetch=fetch) == [
        f"deb {MAIN} bookworm main",
        f"deb {MAIN} bookworm-updates main",
        f"deb {SECURITY} bookworm-security main",
    ]


def test_release_without_its_updates_is_still_usable_and_one_without_itself_is_not():
    assert apt_sources.source_lines("buster", [MAIN], fetch=lambda _uri, suite: DEBIAN if suite == "buster" else "") == [f"deb {MAIN} buster main"]
    assert apt_sources.source_lines("buster", [MAIN], fetch=lambda _uri, suite: DEBIAN if suite != "buster" else "") == []


def test_proxies_are_apts_own():
    options = ['Acquire::http::Proxy "http://cache.example.com:3142";', 'Acquire::https::Proxy "DIRECT";', 'Acquire::Check-Date "false";']
    assert apt_sources.proxies(options) == {"http": "http://cache.example.com:3142"}
