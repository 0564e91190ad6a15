# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a running Mailman 3 through its own REST interface: two domains, lists of every sort, people in every role.

Runs on the host, on its Python (3.9 on Debian 11). The secrets that are planted here are the ones that no log may show.
"""

from __future__ import annotations

import base64
import configparser
import json
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PLANTED = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
LISTS = {
    "news@lists.example.com": {
        "display_name": "Nachrichten für alle",
        "description": "Neues & Wichtiges – «täglich»",
        "info": "Erste Zeile\nzweite Zeile; mit \"Anführung\" und 'Hochkomma'",
        "subject_prefix": "[News] ",
        "archive_policy": "private",
        "moderator_password": PLANTED["moderator"],
        "default_nonmember_action": "reject",
        "accept_these_nonmembers": ["^.*@partner\\.example\\.org$", "boss@example.net"],
        "max_message_size": 512,
        "subscription_policy": "confirm_then_moderate",
        "autorespond_owner": "respond_and_continue",
        "autoresponse_owner_text": "Wir sind im Urlaub.",
        "reply_goes_to_list": "explicit_header",
        "reply_to_address": "desk@example.com",
        "acceptable_aliases": ["zeitung@lists.example.com", "^news-.*@old\\.example\\.com"],
        "pass_types": ["text/plain", "multipart/alternative"],
        "filter_extensions": ["exe", "scr"],
        "filter_content": True,
        "bounce_score_threshold": 9,
    },
    "staff@lists.example.com": {"advertised": False, "member_roster_visibility": "moderators", "digests_enabled": False, "preferred_language": "de"},
    "announce@club.example.org": {"archive_policy": "never", "anonymous_list": True, "dmarc_mitigate_action": "munge_from", "emergency": True},
    "empty@club.example.org": {"description": "A list that nobody is on"},
}


class Rest:
    """The interface of the Mailman on this host."""

    def __init__(self):
        config = configparser.RawConfigParser(strict=False, allow_no_value=True)
        config.read("/etc/mailman3/mailman.cfg", encoding="utf-8")
        told = config["webservice"]
        self._root = "http://localhost:%s/3.1/" % told["port"]
        self._login = base64.b64encode(("%s:%s" % (told["admin_user"], told["admin_pass"])).encode()).decode()

    def __call__(self, method, path, **data):
        body = urllib.parse.urlencode(data, doseq=True).encode() if data else None
        asked = urllib.request.Request(self._root + path, data=body, method=method, headers={"Authorization": "Basic " + self._login})
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as exc:
            raise SystemExit("%s %s: %s" % (method, path, exc.read().decode())) from exc
        return json.loads(text) if text else {}

    def wait(self):
        for _second in range(180):
            try:
                return self("GET", "system/versions")
            except (urllib.error.URLError, OSError):
                time.sleep(1)
        raise SystemExit("Mailman's REST interface did not come up")


def main():
    rest = Rest()
    rest.wait()
    rest("POST", "domains", mail_host="lists.example.com", description="Listen der Firma", owner=["hostmaster@example.com"])
    rest("POST", "domains", mail_host="club.example.org", alias_domain="x.club.example.org")
    for address, settings in LISTS.items():
        rest("POST", "lists", fqdn_listname=address)
        rest("PATCH", "lists/%s/config" % address, **settings)
    people(rest)
    extras(rest)
    print("filled")


def people(rest):
    def join(address, subscriber, name="", role="member", **more):
        return rest(
            "POST", "members", list_id=address.replace("@", "."), subscriber=subscriber, display_name=name, role=role,
            pre_verified=True, pre_confirmed=True, pre_approved=True, **more,
        )  # fmt: skip

    for number in range(40):
        join("news@lists.example.com", "reader%02d@example.net" % number, "Leserin %d" % number)
    join("news@lists.example.com", "Juergen.Gross@Example.NET", "Jürgen Groß")
    join("news@lists.example.com", "digest@example.net", "Digest", delivery_mode="mime_digests")
    join("news@lists.example.com", "away@example.net", "Away")
    for address in LISTS:
        join(address, "owner@example.com", "The Owner", role="owner")
    join("news@lists.example.com", "second-owner@example.com", role="owner")
    join("news@lists.example.com", "moderator@example.com", "Mod", role="moderator")
    join("staff@lists.example.com", "moderator@example.com", "Mod", role="moderator")
    join("news@lists.example.com", "stranger@example.org", role="nonmember")
    for name in ("ann", "bob", "cem"):
        join("staff@lists.example.com", "%s@example.com" % name, name.title())
    join("announce@club.example.org", "ann@example.com", "Ann")
    # a user with a password, a second address, choices of her own, subscribed as a user
    rest("POST", "users", email="lena@example.com", display_name="Lena Ö.", password=PLANTED["user"])
    rest("POST", "users/lena@example.com/addresses", email="lena@private.example.net")
    rest("POST", "addresses/lena@example.com/verify")
    rest("POST", "users/lena@example.com/preferred_address", email="lena@example.com")
    user = rest("GET", "users/lena@example.com")["user_id"]
    join("staff@lists.example.com", str(user))
    rest("PATCH", "users/lena@example.com/preferences", preferred_language="de", hide_address=False)
    for address, choices in {
        "reader07@example.net": {"receive_own_postings": False, "acknowledge_posts": True},
        "away@example.net": {"delivery_status": "by_user"},
    }.items():
        mine = rest("GET", "lists/news@lists.example.com/member/" + address)["member_id"]
        rest("PATCH", "members/%s" % mine, moderation_action="hold")
        rest("PATCH", "members/%s/preferences" % mine, **choices)


def extras(rest):
    rest("POST", "bans", email="^.*@spam\\.example$")
    rest("POST", "lists/news.lists.example.com/bans", email="troll@example.net")
    rest("POST", "lists/news.lists.example.com/header-matches", header="x-spam-flag", pattern="YES", action="discard")
    rest("POST", "lists/news.lists.example.com/header-matches", header="x-origin", pattern="^shop", action="hold")
    rest("PATCH", "lists/staff.lists.example.com/archivers", prototype=False)
    rest("PATCH", "lists/news.lists.example.com/uris", **{"list:user:notice:welcome": "mailman:///news.lists.example.com/de/welcome.txt"})
    rest("PATCH", "domains/lists.example.com/uris", **{
        "list:member:digest:footer": "http://templates.example.com/footer.txt", "username": "reader", "password": PLANTED["template"]
    })  # fmt: skip
    for path, text in {
        "lists/news.lists.example.com/de/welcome.txt": "Willkommen, $user_name!\nÄndern: $list_requests\n",
        "lists/staff.lists.example.com/en/list:member:regular:footer.txt": "-- \nstaff only\n",
        "domains/club.example.org/en/list:admin:notice:subscribe.txt": "somebody came\n",
        "site/en/list:user:notice:goodbye.txt": "So long, and thanks.\n",
    }.items():
        place = pathlib.Path("/var/lib/mailman3/templates") / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
