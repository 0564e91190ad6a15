# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""postflight_reference before a flight, postflight_info after it, and the document between them."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._checks import Check
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._postflight import _context, _registry, mail, panels
from ansible_collections.intact.hosting.plugins.modules import postflight_info, postflight_reference


@pytest.fixture
def delivered(monkeypatch):
    """A mail server that delivers a signed message, and a panel with one domain; the list of messages that were sent."""
    sent = []

    def delivery(context):
        sent.append(context.options["mail_recipient"])
        context.seen["headers"] = "DKIM-Signature: v=1; d=example.com; b=x\nFrom: <a@b>\n\n"
        lost = Finding(id="mail.delivery.failed", severity="blocker", subject="nobody@x", title="t")
        return [lost] if context.options["mail_recipient"] == "nobody@x" else []

    inventory = {"schema": 1, "panel": "small", "objects": {"domain": {"a.test": {}}}}
    monkeypatch.setattr(mail, "delivery", delivery)
    monkeypatch.setattr(panels, "look", lambda system: {"small": inventory, "broken": {"error": "no answer"}})
    return sent


def test_the_document_goes_from_the_one_to_the_other(delivered, tmp_path, call_module, monkeypatch):
    dest = tmp_path / "postflight-reference.json.gz"
    made = call_module(postflight_reference.main, dest=str(dest), mail_recipient="probe@example.com")
    assert made["changed"] and made["marks"] == {"dkim-signature": ["d=example.com"]} and made["findings"] == []
    assert made["panels"] == {"small": {"domain": 1}, "broken": {"error": "no answer"}}
    assert dest.stat().st_mode & 0o777 == 0o600 and delivered == ["probe@example.com"]
    seen = []
    monkeypatch.setattr(postflight_info, "CHECKS", (Check("QF41", "x", lambda context: seen.append(context.before) or []),))
    result = call_module(postflight_info.main, before=str(dest), _ansible_tmpdir=str(tmp_path))
    assert result["checks"][0]["check"] == "QF41" and result["changed"] is False
    assert seen[0]["mail"]["marks"] == made["marks"] and set(seen[0]["panels"]) == {"small", "broken"}


def test_without_a_mailbox_no_message_is_sent_and_in_check_mode_neither(delivered, tmp_path, call_module):
    dest = tmp_path / "d.json"
    assert call_module(postflight_reference.main, dest=str(dest))["marks"] == {} and "mail" not in json.loads(dest.read_text())
    dest.unlink()
    told = call_module(postflight_reference.main, check=True, dest=str(dest), mail_recipient="probe@example.com")
    assert not told["changed"] and not dest.exists() and delivered == []


def test_a_message_that_does_not_arrive_before_the_flight_is_a_finding(delivered, tmp_path, call_module):
    told = call_module(postflight_reference.main, dest=str(tmp_path / "d.json"), mail_recipient="nobody@x")
    assert [f["id"] for f in told["findings"]] == ["mail.delivery.failed"]
    assert call_module(postflight_reference.main, dest=str(tmp_path / "no" / "d.json"))["failed"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 9}', b"\x1f\x8bnonsense"])
def test_a_document_that_is_none_is_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "d.json"
    assert _context.reference(str(path)) == {} and _context.reference("") == {} and _context.reference(None) == {}
    path.write_bytes(content)
    with pytest.raises(IntactError, match=r"d\.json"):
        _context.reference(str(path))


def test_every_check_has_a_number_and_a_title_of_its_own():
    titles = [check.title for check in _registry.CHECKS]
    assert len(set(titles)) == len(titles)
    assert all(check.number.startswith("QF") and len(check.number) == 4 for check in _registry.CHECKS)
    numbers = [check.number for check in _registry.CHECKS]
    assert numbers == sorted(numbers)
    assert {"QF13", "QF16", "QF26", "QF34", "QF36", "QF40", "QF41"} <= set(numbers)
