# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The live Mailman 3: told by its database (read, never written), changed by its own program as its own user.

Reads /etc/mailman3/mailman.cfg for the database; runs `mailman` as the user list. Setting mailman_command replaces those first words of the command.
"""

from __future__ import annotations

import os
import pickle
import pwd
import re
import shutil
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._baseline import lists as baseline
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

USER = "list"
COMMAND = ("runuser", "-u", USER, "--", "mailman")
# What import21 would take over and nothing in Mailman 3 could use: passwords in forms that it can't check, and counters of bounces.
DROPPED = ("passwords", "password", "mod_password", "post_password", "bounce_info", "one_last_digest", "hold_and_cmd_autoresponses")
LANGUAGE = re.compile(r"Missing language: (\S+)")


class Mailman:
    """command: the first words of every command."""

    def __init__(self, system, command=None):
        self._system = system
        self._command = list(command or COMMAND)

    def there(self):
        """Whether Mailman 3 is set up here."""
        return self._system.exists(baseline.CONFIG)

    def lists(self):
        """{address: {settings, people, bans}} from the database."""
        told = baseline.capture(self._system)
        if told is None:
            raise IntactError("Mailman 3 is not set up on this host: install mailman3 and run again")
        return told["items"]

    def run(self, *words, **more):
        """Mailman's own program."""
        return _command.run([*self._command, *words], timeout=more.pop("timeout", 3600), **more)

    def create(self, address):
        """Make an empty list, silently (nobody is told by mail), and its domain. Raises IntactError with Mailman's sentence."""
        result = self.run("create", "--quiet", "--domain", address, check=False)
        if result.rc:
            raise IntactError("Mailman refuses the list %s: %s" % (address, _said(result)))

    def remove(self, address):
        """Take a list away that was made by create()."""
        self.run("remove", address, check=False)

    def import21(self, address, told, stage):
        """Mailman's own import of a configuration. It loads a pickle, which is code: it gets one that we wrote, of plain data only.

        Returns (what it said, changes that were needed [sentence]). Raises IntactError with its words.
        """
        config, changes = cleaned(told), []
        for _attempt in range(8):
            path = stage.put(pickle.dumps(config, protocol=2))
            result = self.run("import21", address, path, check=False)
            missing = LANGUAGE.search(result.error + result.text)
            if missing is None:
                break
            language = missing.group(1)
            changes.append("the language %s is not set up here" % language)
            if config.get("preferred_language") == language:
                config["preferred_language"] = "en"
            config["language"] = {who: what for who, what in (config.get("language") or {}).items() if what != language}
        if result.rc:
            raise IntactError("mailman import21 for %s ended with status %d: %s" % (address, result.rc, _said(result)))
        return [line for line in (result.error + "\n" + result.text).splitlines() if line.strip() and "Importing" not in line][:50], changes


def cleaned(told):
    """The configuration without what can't be used, and with addresses that Mailman 2 kept in mixed case under names in lower case."""
    out = {key: value for key, value in told.items() if key not in DROPPED}
    for name in ("members", "digest_members", "user_options", "delivery_status", "usernames", "language"):
        out[name] = {who.lower(): what for who, what in (told.get(name) or {}).items()}
    for name in ("owner", "moderator", "ban_list"):
        out[name] = list(told.get(name) or [])
    # Mailman 2 puts a blank behind the prefix itself; 3.3.8's import21 does not know that, 3.3.10's does
    prefix = (told.get("subject_prefix") or "").strip()
    out["subject_prefix"] = prefix + " " if prefix else ""
    # a missing key is an error there
    out.setdefault("member_moderation_action", 0)
    return out


class Stage:
    """A directory that only the user list can use, for the pickles that import21 reads."""

    def __init__(self, user=USER, below=None):
        try:
            self._owner = pwd.getpwnam(user)
        except KeyError:
            raise IntactError("there is no user %s on this host, who Mailman 3 runs as" % user) from None
        self.path = tempfile.mkdtemp(prefix="intact-lists-", dir=below)
        os.chown(self.path, self._owner.pw_uid, self._owner.pw_gid)

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        shutil.rmtree(self.path, ignore_errors=True)

    def put(self, data):
        """Writes config.pck. Its owner may not swap it: it is made anew each time. Returns its path."""
        fd, path = tempfile.mkstemp(dir=self.path, suffix=".pck")
        with os.fdopen(fd, "wb") as handle:
            handle.write(data)
            os.fchown(handle.fileno(), self._owner.pw_uid, self._owner.pw_gid)
        return path


def _said(result):
    lines = [line for line in (result.error.splitlines() + result.text.splitlines()) if line.strip() and not line.startswith(("Usage:", "Try "))]
    return lines[-1] if lines else "nothing"


def told_of(item):
    """A live list in the words of _lists_old.wanted()."""
    people, settings = item["people"], item["settings"]
    members = people.get("member", {})
    digest = sorted(who for who, said in members.items() if said.get("delivery_mode") in ("2", "3", "4"))
    out = {
        "members": sorted(set(members) - set(digest)),
        "digest": digest,
        "owners": sorted(people.get("owner", {})),
        "moderators": sorted(people.get("moderator", {})),
        "stopped": sorted(who for who, said in members.items() if said.get("delivery_status", "1") != "1"),
        "moderated": sorted(who for who, said in members.items() if said.get("moderation_action", "4") in ("0", "1", "2")),
        "bans": sorted(item["bans"]),
    }
    names = (
        "description info subject_prefix display_name archive_policy default_member_action default_nonmember_action subscription_policy advertised "
        "max_message_size anonymous_list reply_goes_to_list"
    )
    for name in names.split():
        if name in settings:
            out[name] = settings[name] or ""
    return out
