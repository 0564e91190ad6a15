# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The live Dovecot: who has a mailbox, what is in it as an IMAP client sees it, and imports by Dovecot's own doveadm.

Read is what an IMAP client would be told (a private imap process, EXAMINE and PEEK, so that no flag moves); written is by doveadm alone. Both use the
configuration that setting dovecot_config names, else Dovecot's own /etc/dovecot/dovecot.conf, and need its running auth service for users.
"""

from __future__ import annotations

import imaplib
import os
import pwd
import re
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mbox

CHUNK = 8 << 20
FLAGS = {b"\\Seen": "seen", b"\\Answered": "answered", b"\\Flagged": "flagged", b"\\Deleted": "deleted", b"\\Draft": "draft"}
# doveadm: 2 of sync means "changes came in while it ran, run it again", 67 is no such user
AGAIN, NO_USER = 2, 67
REFUSED = re.compile(r"first_valid_uid|returned 0 as uid")


class _Imap(imaplib.IMAP4):
    """IMAP with a process of ours at the other end of its pipes, already logged in."""

    def __init__(self, argv, env):
        self._argv, self._env = argv, env
        super().__init__()

    def open(self, host="", port=0, timeout=None):
        self.host, self.port, self.sock = None, None, None
        self.process = subprocess.Popen(self._argv, env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=True)
        self.readfile, self.writefile = self.process.stdout, self.process.stdin
        self._file = self.readfile  # the name it has since Python 3.14

    def read(self, size):
        return self.readfile.read(size)

    def readline(self):
        return self.readfile.readline(1 << 24)

    def send(self, data):
        self.writefile.write(data)
        self.writefile.flush()

    def shutdown(self):
        self.writefile.close()
        self.readfile.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Live:
    """The Dovecot of this host. config: path of its configuration, "" for its own."""

    def __init__(self, system, config=""):
        self._system = system
        self._config = ["-c", config] if config else []

    def there(self):
        """Whether Dovecot is installed."""
        return self._system.which("doveadm") is not None

    def doveadm(self, *words, **more):
        """Run doveadm; a Result."""
        return _command.run(["doveadm", *self._config, *words], **more)

    def user(self, name):
        """{uid gid home} as Dovecot says, uid 0 for accounts that it refuses to serve, None when it knows no such user.

        Raises IntactError when its auth service does not answer.
        """
        result = self.doveadm("user", name, check=False, timeout=60)
        told = dict(line.split("\t", 1) for line in result.text.splitlines() if "\t" in line)
        if result.rc == 0 and "uid" in told:
            return {"uid": int(told["uid"]), "gid": int(told["gid"]), "home": told.get("home", "")}
        if REFUSED.search(result.error) or self._system_account(name):
            return {"uid": 0, "gid": 0, "home": ""}
        if result.rc == NO_USER or "doesn't exist" in result.error:
            return None
        raise IntactError("Dovecot can't say who %s is (%s): start its service, or name its configuration by dovecot_config" % (name, _last(result)))

    def _system_account(self, name):
        # Dovecot 2.3 refuses one without a word
        try:
            return pwd.getpwnam(name).pw_uid < self.first()
        except KeyError:
            return False

    def first(self):
        """The lowest uid that Dovecot serves a mailbox for (first_valid_uid)."""
        told = _command.run(["doveconf", *self._config, "-h", "first_valid_uid"], check=False).text.strip()
        return int(told) if told.isdigit() else 500

    def session(self, user):
        """An IMAP session as this user, without a password: for root only."""
        where = _command.run(["doveconf", *self._config, "-h", "libexec_dir"], check=False).text.strip() or "/usr/lib/dovecot"
        env = {"PATH": os.environ.get("PATH", "") + ":" + _command.SBIN, "LC_ALL": "C.UTF-8"}
        try:
            return Session(_Imap([where + "/imap", *self._config, "-u", user], env))
        except (OSError, imaplib.IMAP4.error) as exc:
            raise IntactError("Dovecot opens no IMAP session for %s: %s" % (user, exc)) from exc

    def sync(self, user, location):
        """One way from a staged location into the user's mailboxes; nothing there is taken away. Raises IntactError with what Dovecot said."""
        said = ""
        for words in ((), ("-o", "namespace/inbox/separator=/")):
            for _attempt in range(3):
                result = self.doveadm(*words, "sync", "-1R", "-u", user, location, check=False, timeout=6 * 3600)
                if result.rc == 0:
                    return
                said = said or _last(result)
                if result.rc != AGAIN:
                    break
            if "separator" not in result.error.lower():
                break
        raise IntactError("doveadm sync into the mailbox of %s ended with status %d: %s" % (user, result.rc, said), rc=result.rc)

    def append(self, user, location):
        """Every message of a staged location becomes a new one in the user's folder of the same name, with its flags. Raises as sync()."""
        result = self.doveadm("import", "-u", user, location, "", "all", check=False, timeout=6 * 3600)
        if result.rc:
            raise IntactError("doveadm import into the mailbox of %s ended with status %d: %s" % (user, result.rc, _last(result)), rc=result.rc)

    def subscribe(self, user, names):
        """Subscribe to folders (names as text with the live separator)."""
        if names:
            # a folder that a customer called -A is no option
            self.doveadm("mailbox", "subscribe", "-u", user, "--", *names, timeout=600)


def _last(result):
    return (result.error.splitlines() or ["status %d" % result.rc])[-1]


class Session:
    """Folders of a user as IMAP tells them."""

    def __init__(self, imap):
        self._imap = imap
        told = self._ask("NAMESPACE")
        found = re.search(rb'\(\("((?:[^"\\]|\\.)*)" "(\\?.)"\)', told[0] or b"")
        self.prefix = found.group(1).decode() if found else ""
        self.separator = found.group(2)[-1:].decode() if found else "/"

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        try:
            self._imap.logout()
        except (OSError, imaplib.IMAP4.error):
            self._imap.shutdown()

    def _ask(self, command, *words):
        try:
            if command == "NAMESPACE":
                status, data = self._imap.namespace()
            else:
                status, data = getattr(self._imap, command)(*words)
        except (OSError, imaplib.IMAP4.error) as exc:
            raise IntactError("the IMAP session broke at %s: %s" % (command, exc)) from exc
        if status != "OK":
            raise IntactError("IMAP answers %s to %s: %s" % (status, command, data))
        return data

    def names(self, subscribed=False):
        """{name in modified UTF-7} of folders that can hold messages."""
        out = set()
        for line in self._ask("lsub" if subscribed else "list"):
            if isinstance(line, tuple):
                out.add(line[1].decode("ascii", "replace"))
                continue
            found = re.match(rb'\(([^)]*)\) (?:"\\?."|NIL) (.*)\Z', line or b"")
            if found and b"\\Noselect" not in found.group(1) and b"\\NonExistent" not in found.group(1):
                name = found.group(2)
                name = re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') else name
                out.add(name.decode("ascii", "replace"))
        return out

    def folder(self, name):
        """{validity next messages [{digest flags uid}]}; no messages when there is no such folder."""
        quoted = '"%s"' % name.replace("\\", "\\\\").replace('"', '\\"')
        try:
            status, _data = self._imap.select(quoted, readonly=True)
        except (OSError, imaplib.IMAP4.error) as exc:
            raise IntactError("IMAP can't open the folder %s: %s" % (name, exc)) from exc
        if status != "OK":
            return {"validity": 0, "next": 0, "messages": []}
        following = int((self._imap.response("UIDNEXT")[1] or [b"0"])[0] or 0)
        validity = int((self._imap.response("UIDVALIDITY")[1] or [b"0"])[0] or 0)
        sizes, flags = {}, {}
        for line in self._ask("uid", "FETCH", "1:*", "(UID RFC822.SIZE FLAGS)"):
            text = line[0] if isinstance(line, tuple) else line or b""
            uid = re.search(rb"UID (\d+)", text)
            if uid:
                sizes[int(uid.group(1))] = int(re.search(rb"RFC822\.SIZE (\d+)", text).group(1))
                words = re.search(rb"FLAGS \(([^)]*)\)", text).group(1).split()
                flags[int(uid.group(1))] = {FLAGS[w] for w in words if w in FLAGS}
        out = []
        for chunk in _chunks(sizes):
            for part in self._ask("uid", "FETCH", ",".join(map(str, chunk)), "(UID BODY.PEEK[])"):
                if isinstance(part, tuple):
                    uid = int(re.search(rb"UID (\d+)", part[0]).group(1))
                    out.append({"uid": uid, "digest": _mbox.digest_of(part[1]), "flags": flags.get(uid, set())})
        return {"validity": validity, "next": following, "messages": sorted(out, key=lambda m: m["uid"])}


def _chunks(sizes):
    """UIDs in groups of bounded bytes."""
    group, held = [], 0
    for uid in sorted(sizes):
        if group and (held + sizes[uid] > CHUNK or len(group) >= 500):
            yield group
            group, held = [], 0
        group.append(uid)
        held += sizes[uid]
    if group:
        yield group
