# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Filters, vacation messages and forwarding of old users: sieve checked by Pigeonhole's own compiler, the rest told or turned into sieve that waits."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_aliases, _mail_disk, _mail_live, _mail_old

SCRIPT = "intact-vacation"
FILES = (b".procmailrc", b".mailfilter", b".vacationrc")


def look(context):
    """{user: {forward [targets], vacation (bytes), sieve {name: bytes}, others [names]}} of users who have any of it."""
    out, forwards = {}, _mail_aliases.forwards(context)
    for user, home in _mail_old.accounts(context).items():
        place = _mail_disk.place(context, home) if home != "/" else None
        if place is None:
            continue
        with place:
            found = {
                "forward": forwards.get(user, []),
                "vacation": place.read(b".vacation.msg", 1 << 18) or b"",
                "sieve": {},
                "others": [name.decode() for name in FILES if place.read(name, 1) is not None],
            }
            names = [b".dovecot.sieve", *(b"sieve/" + name for name, _status in place.entries(b"sieve") if name.endswith(b".sieve"))]
            for name in names:
                data = place.read(name, 1 << 20)
                if data is not None:
                    found["sieve"][name.decode("utf-8", "backslashreplace")] = data
        if any(found.values()):
            out[user] = found
    return out


def vacation(found, addresses=()):
    """A sieve script that answers as ~/.vacation.msg did, where ~/.forward really ran vacation; None when it did not."""
    runs = any(_mail_aliases.kind_of(target) == "pipe" and "vacation" in target for target in found["forward"])
    if not found["vacation"] or not runs:
        return None
    text = found["vacation"].decode("utf-8", "replace") if _utf8(found["vacation"]) else found["vacation"].decode("latin-1")
    head, blank, body = text.replace("\r\n", "\n").partition("\n\n")
    subject = re.search(r"^Subject: *(.*)$", head, re.MULTILINE | re.IGNORECASE)
    if not blank or not re.match(r"[A-Za-z-]+:", head):
        body = text
    # $SUBJECT is what the program vacation put in
    words = [":days 7"]
    if subject and body is not text:
        words.append(":subject %s" % _quoted(subject.group(1).replace("$SUBJECT", "your message")))
    if addresses:
        words.append(":addresses [%s]" % ", ".join(_quoted(a) for a in addresses))
    script = 'require ["vacation"];\nvacation %s %s;\n' % (" ".join(words), _quoted(body.replace("$SUBJECT", "your message").strip()))
    keep = [t for t in found["forward"] if _mail_aliases.kind_of(t) == "address"]
    copies = [t for t in keep if "@" in t and not t.startswith("\\")]
    if copies:
        script = script.replace('["vacation"]', '["vacation", "copy"]') + "".join("redirect :copy %s;\n" % _quoted(t) for t in copies)
    return script.encode("utf-8")


def _utf8(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _quoted(text):
    return '"%s"' % re.sub(r'([\\"])', r"\\\1", text)


def checked(data, directory, config=""):
    """ "" when Pigeonhole's sievec takes the script, else what it says. None when there is no sievec."""
    if _command.which("sievec") is None:
        return None
    path = os.path.join(directory, "check.sieve")
    with open(path, "wb") as handle:
        os.fchmod(handle.fileno(), 0o600)
        handle.write(data)
    try:
        result = _command.run(["sievec", *(["-c", config] if config else []), path, os.path.join(directory, "check.svbin")], check=False, timeout=60)
        lines = [line for line in (result.error + result.text).splitlines() if "error" in line.lower()] or result.error.splitlines()
        return "" if result.rc == 0 else (lines or ["sievec ended with status %d" % result.rc])[0].replace(path, "the script")
    finally:
        for left in (path, os.path.join(directory, "check.svbin")):
            if os.path.exists(left):
                os.unlink(left)


def bring(this):
    """Filters of all users, told or applied. this: the phase's Run."""
    config = this.context.settings.get("dovecot_config") or ""
    for user, found in sorted(look(this.context).items()):
        this.count("users with filters", 1)
        told = escape(user)
        for target in found["forward"]:
            if _mail_aliases.kind_of(target) != "address":
                this.find(
                    "forward.unsafe",
                    "warning",
                    told,
                    "~/.forward runs a program or writes a file",
                    escape(target),
                    "look whether that program is here; else empty the file",
                )
        for name in found["others"]:
            this.find(
                "filter.unchecked",
                "warning",
                told,
                "%s is a filter that Dovecot does not read" % name,
                "",
                "procmail or maildrop must deliver here, or turn it into sieve",
            )
        if this.check:
            continue
        for name, data in sorted(found["sieve"].items()):
            said = checked(data, this.directory, config)
            if said is None:
                this.find("sieve.unchecked", "warning", told, "%s is there, and no Pigeonhole" % escape(name), "", "install dovecot-sieve and run again")
            elif said:
                this.find("sieve.invalid", "warning", told, "%s is refused by this Pigeonhole" % escape(name), said, "mend the script with its owner")
            else:
                this.count("sieve scripts checked", 1)
        script = vacation(found)
        if script:
            _vacation(this, user, script, config)


def _vacation(this, user, script, config):
    said = checked(script, this.directory, config)
    where = os.path.join(this.directory, "vacation")
    os.makedirs(where, mode=0o700, exist_ok=True)
    path = os.path.join(where, escape(user).replace("/", "_") + ".sieve")
    with open(path, "wb") as handle:
        handle.write(script)
    live = _mail_live.Live(this.context.system, config)
    if said == "" and this.context.settings.get("vacation"):
        said = _applied(this, live, user, script)
        if said is None:
            return
    evidence = path if not said else "%s: %s" % (path, said)
    this.find(
        "vacation.waits",
        "info",
        escape(user),
        "had a vacation message: it waits as a sieve script",
        evidence,
        "doveadm sieve put -u USER -a NAME FILE, if it still holds",
    )


def _applied(this, live, user, script):
    """None when the script is the user's active one now, else why not. A user with scripts keeps them."""
    listed = live.doveadm("sieve", "list", "-u", user, check=False).text.split()
    if listed:
        return None if listed == [SCRIPT, "ACTIVE"] else "the user has sieve scripts of their own"
    # by its pipe: the user can't read the migration's directory
    result = live.doveadm("sieve", "put", "-u", user, "-a", SCRIPT, stdin=script, check=False)
    if result.rc:
        return "doveadm sieve put ended with status %d: %s" % (result.rc, (result.error.splitlines() or [""])[-1])
    this.count("vacation messages applied", 1)
    return None
