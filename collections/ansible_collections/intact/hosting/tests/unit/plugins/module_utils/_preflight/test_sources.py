# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources: unreadable, unreachable, aliases, mixtures, and third parties at the target."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _apt, sources
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

DEBIAN = "deb http://mirror.example.com/debian bookworm main\n"
TARGETS = "/etc/apt/sources.list:1|Debian|Debian\n"


def context(text=DEBIAN, update=(0, ""), entries=None, **more):
    listed = entries if entries is not None else "/etc/apt/sources.list:1\n"
    calls = {"n": 0}

    def apt(argv, _stdin):
        if "indextargets" in argv:
            return TARGETS if "ORIGIN" in argv[-1] else listed
        calls["n"] += 1
        return update(calls["n"], argv) if callable(update) else update

    files = dict({"/etc/apt/sources.list": text}, **more.pop("files", {}))
    return fake.context({"apt-get": apt}, files, **more)


def test_an_unreadable_source_names_file_and_line_and_hides_passwords():
    (finding,) = sources.parsed(
        context(
            "deb https://me:secret@x.example.com/ bookworm\n",
            update=(100, "", "E: Malformed entry 1 in list file /etc/apt/sources.list (Component)\nE: The list of sources could not be read."),
        )
    )
    assert (finding.id, finding.severity, finding.subject) == ("sources.unparsable", "blocker", "/etc/apt/sources.list:1")
    assert "secret" not in finding.evidence and "line 1 of /etc/apt/sources.list" in finding.remedy


def test_what_only_apt_cannot_read_is_told_as_well():
    (finding,) = sources.parsed(context(update=(100, "", "E: Malformed entry 1 in list file /etc/apt/sources.list ([option] unparseable)")))
    assert (finding.id, finding.subject) == ("sources.unparsable", "apt")


def test_a_source_that_apt_passes_over_and_one_that_we_did_not_see():
    found = sources.parsed(context(entries="/opt/other.list:3\n"))
    assert fake.ids(found) == [("sources.unread", "blocker", "/etc/apt/sources.list:1"), ("sources.unknown", "blocker", "/opt/other.list:3")]
    assert sources.parsed(context()) == []


@pytest.mark.parametrize(
    "said, ident, subject",
    [
        (
            "E: Failed to fetch http://a.example.com/dists/x/InRelease  404  Not Found [IP: 192.0.2.1 80]\nE: The repository 'http://a.example.com x "
            "Release' does not have a Release file.",
            "sources.missing",
            "http://a.example.com/dists/x/InRelease",
        ),
        (
            "W: GPG error: http://a.example.com x InRelease: The following signatures were invalid: EXPKEYSIG 0123",
            "sources.key.expired",
            "http://a.example.com",
        ),
        (
            "W: GPG error: http://a.example.com x InRelease: The following signatures couldn't be verified because the public key is not available: "
            "NO_PUBKEY 01",
            "sources.key",
            "http://a.example.com",
        ),
        (
            "E: Release file for http://a.example.com/dists/x/InRelease is not valid yet (invalid for another 1d 2h).",
            "clock.skew",
            "http://a.example.com/dists/x/InRelease",
        ),
        (
            "E: Release file for http://a.example.com/dists/x/InRelease is expired (invalid since 3d). Updates",
            "sources.expired",
            "http://a.example.com/dists/x/InRelease",
        ),
        (
            "E: Failed to fetch http://a.example.com/dists/x/InRelease  Could not connect to a.example.com:80 (192.0.2.1). - connect (113: No route to host)",
            "sources.unreachable",
            "http://a.example.com/dists/x/InRelease",
        ),
    ],
)
def test_apts_messages_are_understood(said, ident, subject):
    judged = _apt.judge(said)
    assert judged[subject][0] == ident
    found = sources.reachable(context(update=(100, "", said)))
    assert (found[0].id, found[0].severity) in {(name, "blocker") for name, _title, _message in judged.values()}


def test_reachable_sources_are_silent_and_asked_once():
    here = context()
    assert sources.reachable(here) == [] and sources.parsed(here) == []
    assert len([call for call in here.host.calls if call[-1] == "update"]) == 1


def test_the_live_lists_are_never_refreshed():
    here = context()
    sources.reachable(here)
    (conf,) = [data.decode() for path, data in here.host.written.items() if path.endswith("source/apt.conf")]
    assert 'Dir::State::lists "%s/source/lists/"' % here.cache in conf and "#clear APT::Update::Post-Invoke;" in conf


@pytest.mark.parametrize(
    "text, expected",
    [
        (DEBIAN, []),
        (DEBIAN.replace("bookworm", "stable"), ["sources.alias"]),
        (DEBIAN.replace("bookworm", "trixie"), ["sources.mixed"]),
        (DEBIAN.replace("bookworm", "bookworm-backports"), ["sources.backports"]),
    ],
)
def test_suites_of_the_distribution(text, expected):
    assert [f.id for f in sources.suites(context(text))] == expected


def test_a_vendors_stable_is_no_alias():
    assert sources.suites(context("\ndeb http://vendor.example.com/apt stable main\n")) == []
    assert sources.suites(context("\ndeb http://vendor.example.com/apt nodistro main\n")) == []


@pytest.mark.parametrize(
    "uri, suite, entries, expected",
    [
        ("http://v/x", "bookworm", [], ("rename", "http://v/x", "trixie")),
        ("http://v/x", "bookworm-php", [], ("rename", "http://v/x", "trixie-php")),
        ("http://v/x", "stable", [], ("keep", "http://v/x", "stable")),
        ("http://v/x", "bookworm", [{"match": "http://v/*", "action": "disable", "reason": "r"}], ("disable", "http://v/x", "bookworm")),
        ("http://v/x", "bookworm", [{"match": "http://v/* book*", "action": "rename", "suite": "any", "reason": "r"}], ("rename", "http://v/x", "any")),
        ("http://v/x", "bookworm", [{"match": "http://w/*", "action": "disable", "reason": "r"}], ("rename", "http://v/x", "trixie")),
    ],
)
def test_what_becomes_of_a_source(uri, suite, entries, expected):
    assert sources.mapped(None, uri, suite, "bookworm", "trixie", entries)[:3] == expected


def third(update, options=None):
    here = context(DEBIAN + "deb [signed-by=/k.gpg] http://vendor.example.com/apt bookworm main\n", update=update, options=options)
    return here, sources.third_party(here)


def test_a_third_party_without_the_target_blocks_and_one_with_it_is_silent():
    def update(count, _argv):
        return (0, "") if count == 1 else (100, "", "E: The repository 'http://vendor.example.com/apt trixie Release' does not have a Release file.")

    here, (finding,) = third(update)
    assert (finding.id, finding.severity, finding.subject) == ("sources.target.missing", "blocker", "http://vendor.example.com/apt bookworm")
    assert "preflight_source_map" in finding.remedy and "trixie" in finding.title
    only = [data.decode() for path, data in here.host.written.items() if path.endswith("only.sources")]
    assert only and "Suites: trixie" in only[0] and "Signed-By: /k.gpg" in only[0]
    assert third((0, ""))[1] == []


def test_a_disabled_mapping_is_only_told():
    _here, found = third((0, ""), {"source_map": [{"match": "http://vendor*", "action": "disable", "reason": "no longer needed"}]})
    assert fake.ids(found) == [("sources.third.dropped", "info", "http://vendor.example.com/apt bookworm")]


@pytest.mark.parametrize(
    "entry, word",
    [
        ({"match": "x", "action": "drop", "reason": "r"}, "'drop'"),
        ({"match": "x", "action": "rename", "reason": "r"}, "uri or suite"),
        ({"match": "x", "action": "keep"}, "reason"),
    ],
)
def test_a_mapping_that_maps_nothing_is_refused(entry, word):
    with pytest.raises(IntactError, match=word):
        sources.check_map([entry])


def test_suite_base_is_what_aliases_are_judged_by():
    assert _apt_sources.suite_base("stable-security") == "stable"
