# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What Mailman 3 itself says of its lists, through the REST interface of the running service: as a document, and as objects that compare with its rows."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory
from ansible_collections.intact.hosting.plugins.module_utils._panels._mailman_items import PEOPLE, PICKLED

PAGE = 500
_ACTION = {"hold": 0, "reject": 1, "discard": 2, "accept": 3, "defer": 4}
_ANSWER = {"none": 0, "respond_and_discard": 1, "respond_and_continue": 2}
_POLICY = {"open": 0, "confirm": 1, "moderate": 2, "confirm_then_moderate": 3}
# The words that REST has for the numbers in the rows.
WORDS = {
    "archive_policy": {"never": 0, "private": 1, "public": 2},
    "archive_rendering_mode": {"text": 1, "markdown": 2},
    "autorespond_owner": _ANSWER,
    "autorespond_postings": _ANSWER,
    "autorespond_requests": _ANSWER,
    "default_member_action": _ACTION,
    "default_nonmember_action": _ACTION,
    "digest_volume_frequency": {"yearly": 0, "monthly": 1, "quarterly": 2, "weekly": 3, "daily": 4},
    "dmarc_mitigate_action": {"no_mitigation": 0, "munge_from": 1, "wrap_message": 2, "reject": 3, "discard": 4},
    "filter_action": dict(_ACTION, forward=5, preserve=6),
    "forward_unrecognized_bounces_to": {"discard": 0, "administrators": 1, "site_owner": 2},
    "newsgroup_moderation": {"none": 0, "open_moderated": 1, "moderated": 2},
    "personalize": {"none": 0, "individual": 1, "full": 2},
    "reply_goes_to_list": {"no_munging": 0, "point_to_list": 1, "explicit_header": 2, "explicit_header_only": 3},
    "subscription_policy": _POLICY,
    "unsubscription_policy": _POLICY,
}
# Texts of the rows as they stand there. What is not named here is computed by Mailman, moves by itself, or is written otherwise (times).
TEXTS = (
    "autoresponse_owner_text autoresponse_postings_text autoresponse_request_text description display_name dmarc_moderation_notice dmarc_wrapped_message_text "
    "info linked_newsgroup posting_pipeline preferred_language reply_to_address subject_prefix"
).split()
MOVING = ("next_digest_number", "post_id", "volume", "usenet_watermark")


class Rest:
    """The service on this host. Its password goes into a header, nowhere else."""

    def __init__(self, system, section):
        self._system = system
        self._host, self._port = section.get("hostname") or "localhost", int(section.get("port") or 8001)
        login = "%s:%s" % (section.get("admin_user") or "restadmin", section.get("admin_pass") or "restpass")
        self._headers = {"Authorization": "Basic " + base64.b64encode(login.encode("utf-8", "surrogateescape")).decode(), "Accept": "application/json"}
        self._root = "/%s/" % (section.get("api_version") or "3.1")

    def get(self, path):
        """What a resource says, as plain data; {} when it says nothing."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.sock = self._system.dial(self._host, self._port, timeout=60)
            connection.request("GET", self._root + path, headers=self._headers)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status == 404:
                return {}
            if answer.status >= 300:
                raise IntactError("Mailman's REST interface answers %s to %s" % (answer.status, path.split("?")[0]))
            return json.loads(data.decode("utf-8")) if data else {}
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise IntactError("Mailman's REST interface on port %s does not answer: %s" % (self._port, exc)) from exc
        finally:
            connection.close()

    def entries(self, path):
        """All entries of a collection, page by page."""
        out = []
        while True:
            told = self.get("%s?count=%d&page=%d" % (path, PAGE, len(out) // PAGE + 1))
            out += told.get("entries", [])
            if len(told.get("entries", [])) < PAGE:
                return out


def fetch(rest):
    """The document: every list with its configuration and rosters, and the domains."""
    out = {"versions": _plain(rest.get("system/versions")), "domains": [_plain(d) for d in rest.entries("domains")], "lists": {}}
    for entry in rest.entries("lists"):
        place = "lists/%s/" % urllib.parse.quote(entry["list_id"])
        told = {"list_id": entry["list_id"], "config": _plain(rest.get(place + "config")), "archivers": _plain(rest.get(place + "archivers"))}
        for role in PEOPLE:
            told[role] = [_plain(person) for person in rest.entries(place + "roster/" + role)]
        for more in ("bans", "header-matches", "uris"):
            told[more] = [_plain(one) for one in rest.entries(place + more)]
        out["lists"][entry["fqdn_listname"]] = told
    return out


def _plain(told):
    return {key: value for key, value in told.items() if key not in ("http_etag", "self_link")}


def objects(document):
    """{kind: {name: attributes}} of what the document tells in words that the rows know too."""
    lists = {}
    for name, told in document["lists"].items():
        config, held = told["config"], {"list_id": escape(told["list_id"])}
        for key, value in config.items():
            if key in PICKLED or key == "acceptable_aliases":
                held[key] = [escape(entry) for entry in value or []]
            elif key in WORDS:
                # a word that a newer Mailman has is not guessed at
                held[key] = WORDS[key].get(value)
            elif key == "moderator_password":
                held[key] = _inventory.secret(value) if value else None
            elif key in TEXTS:
                held[key] = None if value is None else escape(value)
            elif isinstance(value, (bool, int, float)) and key not in MOVING:
                held[key] = int(value) if value == int(value) else value
        lists[escape(name)] = {key: value for key, value in held.items() if value is not None}
    domains = {
        escape(told["mail_host"]): {"description": escape(told.get("description") or ""), "alias_domain": escape(told.get("alias_domain") or "")}
        for told in document["domains"]
    }
    return {"list": lists, "domain": domains}


def people(document):
    """{list: {attribute of the roster: [addresses]}}."""
    return {
        escape(name): {attribute: sorted(escape(person["email"]) for person in told[role]) for role, attribute in PEOPLE.items()}
        for name, told in document["lists"].items()
    }
