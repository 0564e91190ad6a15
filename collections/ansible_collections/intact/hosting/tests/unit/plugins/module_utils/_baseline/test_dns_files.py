# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of named's files says what: a zone that was taken out of one explains why that file changed, and no other file."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _dns_files, dns
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

LOCAL = "/etc/bind/named.conf.local"
OPTIONS = "/etc/bind/named.conf.options"
FILES = {
    "/etc/bind/named.conf": 'include "/etc/bind/named.conf.options";\ninclude "named.conf.local";\ninclude "/etc/bind/more/*.conf";\n// zone "old.test" { };\n',
    OPTIONS: 'options {\n\tdirectory "/var/cache/bind"; // include "/etc/nothing";\n};\n',
    LOCAL: 'zone "Orchard.test" { type primary; };\n/* zone "gone.test" {\n}; */\nzone "2.0.192.in-addr.arpa" IN { type primary; };\n',
    "/etc/bind/more/a.conf": 'zone "orchard.test." { type primary; };\n# zone "no.test" {};\ninclude "/etc/bind/named.conf";\n',
}


def test_entries_are_found_through_includes():
    zones, options = _dns_files.where(FakeSystem({}, files=FILES))
    assert zones == {"orchard.test.": [LOCAL, "/etc/bind/more/a.conf"], "2.0.192.in-addr.arpa.": [LOCAL]}
    assert options == [OPTIONS]
    assert _dns_files.where(FakeSystem({})) == ({}, [])


def zone(**more):
    item = {
        "kind": "zone",
        "type": "primary",
        "file": "/var/lib/bind/orchard.test",
        "serial": 1,
        "soa": ["a"],
        "signed": False,
        "transfer": False,
        "allowed": [],
    }
    return {"items": {"zone orchard.test.": dict(item, config=[LOCAL], options=[OPTIONS], **more)}}


@pytest.mark.parametrize(
    ("after", "expected", "explained"),
    [
        ({"items": {}}, "dns.zone.missing", {LOCAL}),
        (zone(), "dns.transfer.changed", {LOCAL, OPTIONS}),
    ],
)
def test_a_change_of_the_configuration_is_one_event(after, expected, explained):
    if expected == "dns.transfer.changed":
        after["items"]["zone orchard.test."]["transfer"] = True
    (finding,) = dns.compare(zone(), after)
    files = [
        _compare.Finding(id="files.content.changed", severity="blocker", subject=path, title="t", evidence="e", remedy="r", details={"attribute": "content"})
        for path in (LOCAL, OPTIONS, "/etc/bind/rndc.key")
    ]
    left = [f.subject for f in _compare.correlate([finding, *files])]
    assert left == ["zone orchard.test."] + [path for path in (LOCAL, OPTIONS, "/etc/bind/rndc.key") if path not in explained]
