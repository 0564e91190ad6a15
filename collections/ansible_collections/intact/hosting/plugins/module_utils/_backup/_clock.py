# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is this host's clock right? A backup that is dated wrong is never found to be old.

Other clocks are asked: the repository's server, and its newest snapshots.
"""

from __future__ import annotations

import datetime
import email.utils
import re
import ssl
import urllib.error
import urllib.request

from ansible_collections.intact.hosting.plugins.module_utils._backup import _outcome
from ansible_collections.intact.hosting.plugins.module_utils._findings import parse_time

ALLOWED = datetime.timedelta(minutes=5)


def server_time(repository, timeout=15):
    """The moment that a REST server or a store behind HTTP tells with any answer, a refusal too; None where it cannot be asked. No credentials are sent."""
    found = re.match(r"(rest|s3):(https?://[^/]+)", repository["url"])
    if not found:
        return None
    context = ssl.create_default_context(cafile=repository.get("ca_file") or None)
    # A certificate that is not valid *yet* is what a wrong clock brings about: the time is worth hearing from whoever answers there.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(found.group(2) + "/", method="HEAD")
    try:
        # Ansible's open_url is not there: this is a part of the installed program
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        with opener.open(request, timeout=timeout) as answer:
            said = answer.headers.get("Date")
    except urllib.error.HTTPError as exc:
        said = exc.headers.get("Date")
    except (OSError, ValueError):
        return None
    moment = email.utils.parsedate_to_datetime(said) if said else None
    return moment.astimezone(datetime.timezone.utc) if moment else None


def judge(name, now, server=None, newest=""):
    """backup.clock findings. server: its moment or None; newest: time of the newest snapshot of this host, or "". Pure."""
    out = []
    if server and abs(now - server) > ALLOWED:
        ahead = "ahead of" if now > server else "behind"
        out.append(
            _outcome.finding("clock", name, "", "", "this host says %s, the server %s: %s it by %s" % (_iso(now), _iso(server), ahead, abs(now - server)))
        )
    elif newest:
        moment = parse_time(re.sub(r"(\.\d{6})\d+", r"\1", newest))
        if moment - now > ALLOWED:
            evidence = "the newest snapshot is of %s, this host says %s: one of the two clocks was wrong" % (_iso(moment), _iso(now))
            out.append(_outcome.finding("clock", name, "", "", evidence))
    return out


def _iso(moment):
    return moment.astimezone(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
