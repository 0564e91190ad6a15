# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Dovecot of our own (private base_dir, no port), an old disk as a directory, and a stand-in for the migration's context."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._system import System

UID = 41234
USERS = ("joe", "eve")
DATE = "Mon Jan  7 10:00:00 2008"


class StandIn:
    """The attributes of _migration._context.Context that phases use."""

    def __init__(self, root, directory, **settings):
        self.root, self.directory, self.settings = str(root), str(directory), settings
        self.old, self.system, self.told = Rooted(os.fsencode(str(root))), System(), []
        os.makedirs(self.directory, mode=0o700, exist_ok=True)

    def identity(self):
        return {"users": {}}

    def document(self, phase):
        return {}

    def phase_directory(self, phase):
        os.makedirs(os.path.join(self.directory, phase + ".d"), mode=0o700, exist_ok=True)

    def tell(self, line):
        self.told.append(line)


class OldDisk:
    """An old root as a directory, with a digest of every byte and time on it."""

    def __init__(self, root):
        self.root = str(root)
        self.passwd = ["root:x:0:0:root:/root:/bin/sh"]
        os.makedirs(self.root + "/etc")

    def user(self, name, home=None):
        self.passwd.append("%s:x:500:500::%s:/bin/sh" % (name, home or "/home/" + name))
        self.write("/etc/passwd", "\n".join(self.passwd) + "\n")

    def write(self, path, data, mode=0o644):
        data = data.encode() if isinstance(data, str) else data
        place = os.fsencode(self.root) + os.fsencode(path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as handle:
            handle.write(data)
        os.chmod(place, mode)

    def state(self):
        digest = hashlib.sha256()
        for folder, folders, names in os.walk(os.fsencode(self.root)):
            folders.sort()
            for name in sorted(folders + names):
                path = os.path.join(folder, name)
                status = os.lstat(path)
                digest.update(repr((path, status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns, status.st_ctime_ns)).encode())
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as handle:
                        digest.update(handle.read())
        return digest.hexdigest()


def message(number, more="", body=None, sender="a@example.com"):
    """One message of an mbox, with its From_ line and the blank line behind it."""
    body = "body %d\n" % number if body is None else body
    return "From %s %s\nMessage-ID: <%d@example.com>\nSubject: no %d\n%s\n%s\n" % (sender, DATE, number, number, more, body)


class Dovecot:
    """kind: maildir (separator .) or mbox (separator /)."""

    def __init__(self, directory, kind):
        self.directory, self.kind = str(directory), kind
        os.makedirs(self.directory + "/home", exist_ok=True)
        for path in (self.directory, self.directory + "/home"):
            os.chmod(path, 0o755)
        self.config = self.directory + "/dovecot.conf"
        location = "maildir:~/Maildir" if kind == "maildir" else "mbox:~/mail:INBOX=~/inbox"
        with open(self.config, "w") as handle:
            handle.write(
                "base_dir = {0}/base\nstate_dir = {0}/state\nlog_path = {0}/log\nssl = no\nprotocols =\nmail_location = {1}\n"
                "namespace inbox {{\n inbox = yes\n separator = {2}\n}}\n"
                "userdb {{\n driver = passwd-file\n args = {0}/users\n}}\npassdb {{\n driver = passwd-file\n args = {0}/users\n}}\n"
                "plugin {{\n sieve = file:~/sieve;active=~/.dovecot.sieve\n}}\n".format(self.directory, location, "." if kind == "maildir" else "/")
            )
        with open(self.directory + "/users", "w") as handle:
            # all of them at once: a file that changes within a second is not read again
            for name in USERS:
                handle.write("{0}:{{PLAIN}}x:{1}:{1}::{2}/home/{0}::\n".format(name, UID, self.directory))
            handle.write("daemon:{PLAIN}x:1:1::/usr/sbin::\n")
        subprocess.run(["dovecot", "-c", self.config], check=True, timeout=30)
        deadline = time.monotonic() + 10
        while not os.path.exists(self.directory + "/base/auth-userdb") and time.monotonic() < deadline:
            time.sleep(0.05)

    def empty(self):
        """No mail of anybody."""
        shutil.rmtree(self.directory + "/home")
        os.mkdir(self.directory + "/home", 0o755)

    def user(self, name):
        """The home of one of USERS."""
        home = "%s/home/%s" % (self.directory, name)
        os.makedirs(home)
        os.chown(home, UID, UID)
        return home

    def doveadm(self, *words, data=b""):
        return subprocess.run(["doveadm", "-c", self.config, *words], input=data, check=True, stdout=subprocess.PIPE, timeout=60).stdout.decode()

    def status(self, user, folder="INBOX"):
        """{messages uidvalidity uidnext}, as doveadm says: not the way that the code under test asks."""
        line = self.doveadm("mailbox", "status", "-u", user, "messages uidvalidity uidnext", folder).splitlines()[0]
        return {key: int(value) for key, value in (word.split("=") for word in line[len(folder) + 1 :].split())}

    def stop(self):
        subprocess.run(["doveadm", "-c", self.config, "stop"], check=False, timeout=30)
        shutil.rmtree(self.directory, ignore_errors=True)


def need():
    """Skip where the real thing can't run."""
    if os.geteuid() != 0:
        pytest.skip("a Dovecot that serves users needs root")
    for program in ("dovecot", "doveadm"):
        if which(program) is None:
            pytest.skip("%s is not installed (apt-get install dovecot-imapd)" % program)
    version = subprocess.run(["dovecot", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    if not version.startswith("2.3"):
        pytest.skip("the lab's configuration is one for Dovecot 2.3, here is %s" % version.strip())
