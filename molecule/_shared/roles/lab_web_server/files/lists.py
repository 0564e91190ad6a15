# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two Mailman lists through its own REST interface: members, roles, settings, one delivered and one held post."""

from __future__ import annotations

import base64
import configparser
import json
import os
import urllib.error
import urllib.parse
import urllib.request

import mail

import lab

DOMAIN = "lists.harbour.test"
LISTS = {
    "crew": {
        "settings": {"description": "Crew of the sailing club", "subject_prefix": "[crew] ", "max_message_size": 500,
                     "default_member_action": "accept", "advertised": True, "display_name": "Crew"},
        "owners": ["captain@harbour.test"],
        "moderators": ["anna@hilltop.test"],
        "members": [("captain@harbour.test", "Captain", True), ("anna@hilltop.test", "Anna", True), ("carol@web1.lab.test", "Carol", True)],
        "guests": 40,
    },
    "announce": {
        "settings": {"description": "Announcements, moderated", "subject_prefix": "", "default_member_action": "hold",
                     "default_nonmember_action": "hold", "advertised": False, "reply_to_address": "captain@harbour.test",
                     "reply_goes_to_list": "explicit_header", "display_name": "Announce"},
        "owners": ["captain@harbour.test", "editor@northwind.test"],
        "moderators": ["captain@harbour.test"],
        "members": [("editor@northwind.test", "Editor", True), ("paul@harbour.test", "Paul", True)],
        "guests": 15,
    },
}  # fmt: skip


class Rest:
    """Mailman's REST interface with the account of its own configuration."""

    def __init__(self) -> None:
        config = configparser.ConfigParser(interpolation=None, strict=False)
        config.read("/etc/mailman3/mailman.cfg")
        web = config["webservice"]
        pair = f"{web['admin_user']}:{web['admin_pass']}".encode()
        self.statuses_later = False
        self.headers = {"Authorization": "Basic " + base64.b64encode(pair).decode(), "Content-Type": "application/x-www-form-urlencoded"}

    def __call__(self, method: str, path: str, body: dict | None = None) -> dict | None:
        """Answer as a dict; None when the thing is not there (404)."""
        # as a form, like Mailman's own client: 3.3.3 of Debian 11 fails on the booleans and numbers of JSON
        data = urllib.parse.urlencode({key: str(value) for key, value in body.items()}).encode() if body is not None else None
        request = urllib.request.Request("http://127.0.0.1:8001/3.1/" + path, data, self.headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                return None
            raise SystemExit(f"mailman: {method} {path}: {exc.code} {exc.read().decode()[:300]}") from exc
        return json.loads(text) if text else {}

    def answers(self) -> bool:
        try:
            versions = self("GET", "system/versions")
        except (OSError, SystemExit):
            return False
        # Debian 11's takes a member's delivery status only afterwards
        self.statuses_later = " 3.3.3 " in (versions or {}).get("mailman_version", "") + " "
        return versions is not None


def fill(rest: Rest, name: str, wanted: dict) -> None:
    address, list_id = f"{name}@{DOMAIN}", f"{name}.{DOMAIN}"
    if rest("GET", f"lists/{address}"):
        return
    rest("POST", "lists", {"fqdn_listname": address})
    rest("PATCH", f"lists/{address}/config", wanted["settings"])
    pre = {"list_id": list_id, "pre_verified": True, "pre_confirmed": True, "pre_approved": True, "send_welcome_message": False}
    for role, people in (("owner", wanted["owners"]), ("moderator", wanted["moderators"])):
        for person in people:
            rest("POST", "members", {"list_id": list_id, "subscriber": person, "role": role, "pre_verified": True})
    members = list(wanted["members"])
    members += [(f"guest{n}@example.test", f"Gäst {n}", False) for n in range(wanted["guests"])]
    for person, shown, receives in members:
        made = dict(pre, subscriber=person, display_name=shown, delivery_mode="regular" if receives else "mime_digests")
        # Nobody's mail server exists in the lab: they read the archive.
        reads = {} if receives else {"delivery_status": "by_user"}
        rest("POST", "members", made if rest.statuses_later else {**made, **reads})
        if reads and rest.statuses_later:
            member = rest("GET", f"lists/{address}/member/{person}") or {}
            rest("PATCH", member["self_link"].rpartition("/3.1/")[2] + "/preferences", reads)
    lab.changed(f"list {address}")


def idle() -> bool:
    """Whether no message is on its way through Mailman; bad and shunt keep theirs."""
    base = "/var/lib/mailman3/queue"
    return not any(os.listdir(f"{base}/{name}") for name in os.listdir(base) if name not in ("bad", "bounces", "digest", "retry", "shunt"))


def posts(rest: Rest) -> None:
    """One post that goes out, one that waits for the moderator."""
    marker = "/var/lib/intact-lab/posted"
    if os.path.exists(marker):
        return
    mail.send("carol@web1.lab.test", f"crew@{DOMAIN}", "Regatta on Sunday", "Who brings the thermos?\n")
    mail.send("oldpaul@web1.lab.test", f"announce@{DOMAIN}", "May I announce?", "Please.\n")
    lab.wait("the held post", lambda: (rest("GET", f"lists/announce@{DOMAIN}/held") or {}).get("total_size", 0) >= 1, 90)
    lab.wait("the crew's copy", lambda: "regatta" in lab.run("doveadm", "fetch", "-u", "carol", "hdr.subject", "all").lower(), 90)
    lab.wait("Mailman's queues to run empty", lambda: idle() and len(mail.queue()) == 1, 90)
    lab.put(marker, "")


def main() -> None:
    fresh = lab.edit("/etc/mailman3/mailman.cfg", ("site_owner: changeme@example.com", "site_owner: captain@harbour.test"))
    lab.service("mailman3.service", restart=fresh)
    rest = Rest()
    lab.wait("Mailman's REST interface", rest.answers, 90)
    if not rest("GET", f"domains/{DOMAIN}"):
        rest("POST", "domains", {"mail_host": DOMAIN, "description": "Lists of the club"})
        lab.changed(f"domain {DOMAIN}")
    for name, wanted in LISTS.items():
        fill(rest, name, wanted)
    posts(rest)


if __name__ == "__main__":
    main()
