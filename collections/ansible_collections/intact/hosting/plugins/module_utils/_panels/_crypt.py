# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Exports at rest: gpg, symmetric, with the passphrase through a descriptor; neither it nor the plain text is ever an argument, a variable or a file here."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._backup._secrets import read_secret
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import BLOCK, Broken

ENDING = ".gpg"
# The count is given, as gpg would start an agent to measure one.
ENCRYPT = ["--symmetric", "--cipher-algo", "AES256", "--s2k-digest-algo", "SHA512", "--s2k-count", "16777216", "--compress-algo", "none", "--output", "-"]


def check(passphrase_file, making=False):
    """Raise IntactError unless there is a gpg, and a passphrase file that only root can read; to encrypt (making) its first line must be one."""
    if not _command.which("gpg"):
        raise IntactError("gpg is not installed on this host: install gnupg (the package gpg), or export without a passphrase file")
    first = read_secret(passphrase_file, "the passphrase file").partition(b"\n")[0].strip()
    if making and (not first or b"\0" in first or first.startswith(b"$ANSIBLE_VAULT;")):
        # gpg takes the first line, which of an ansible-vault file is the same for everybody
        why = "ansible-vault's own words: decrypt it" if first.startswith(b"$") else "empty, or no text"
        raise IntactError("the first line of the passphrase file %s is the passphrase, and it is %s" % (passphrase_file, why), path=passphrase_file)


@contextlib.contextmanager
def _gpg(passphrase_file, words, stdin, stdout):
    """A running gpg with a home of its own, and the file with its complaints."""
    check(passphrase_file)
    home = tempfile.mkdtemp(prefix="intact-gpg-")
    process = None
    try:
        with open(passphrase_file, "rb") as secret, tempfile.TemporaryFile() as errors:
            argv = [_command.which("gpg"), "--batch", "--quiet", "--no-tty", "--no-autostart", "--no-symkey-cache", "--pinentry-mode", "loopback"]
            argv += ["--passphrase-fd", str(secret.fileno())] + words
            own = dict(os.environ, GNUPGHOME=home, LC_ALL="C.UTF-8")
            process = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=errors, env=own, pass_fds=[secret.fileno()])
            yield process, errors
    finally:
        if process and process.poll() is None:
            process.kill()
        if process:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        shutil.rmtree(home, ignore_errors=True)


def _said(errors):
    errors.seek(0)
    lines = [line.replace("gpg: ", "", 1) for line in errors.read().decode("utf-8", "backslashreplace").splitlines() if "encrypted" not in line]
    return "; ".join(lines)[-300:] or "gpg gave no reason"


def encrypt(source, target, passphrase_file):
    """Write source (a path, or bytes) encrypted to target (0600, must not be there); it is on the disk when this returns."""
    check(passphrase_file, making=True)
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"))
        given = subprocess.PIPE if isinstance(source, bytes) else stack.enter_context(open(source, "rb"))
        process, errors = stack.enter_context(_gpg(passphrase_file, ENCRYPT, given, out))
        process.communicate(source if isinstance(source, bytes) else None)
        if process.returncode:
            raise IntactError("gpg did not encrypt %s: %s" % (os.path.basename(target), _said(errors)), path=target)
        os.fsync(out.fileno())


class Decrypting:
    """read(n) of what is in an encrypted file; Broken at the end when gpg finds it damaged."""

    def __init__(self, process, errors):
        self._process, self._errors = process, errors

    def read(self, size=BLOCK):
        """The next bytes, b"" at the end of a whole file."""
        data = self._process.stdout.read(size)
        if not data and self._process.wait():
            raise Broken("it can't be decrypted: %s" % _said(self._errors))
        return data


@contextlib.contextmanager
def decrypted(path, passphrase_file):
    """A Decrypting of a file."""
    with open(path, "rb") as source, _gpg(passphrase_file, ["--decrypt"], source, subprocess.PIPE) as (process, errors):
        yield Decrypting(process, errors)


def fingerprint(path):
    """(bytes, sha256) of a file."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


@contextlib.contextmanager
def private(root):
    """A private directory for what is decrypted, gone afterwards."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    sweep(root)
    path = os.path.join(root, ".open-%d-%s" % (os.getpid(), os.urandom(4).hex()))
    os.mkdir(path, 0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(directory, pattern=r"\.open-(\d+)-"):
    """Remove what private() could not remove because its process was killed; or what else is named with its process by such a pattern."""
    for name in os.listdir(directory) if os.path.isdir(directory) else []:
        match = re.match(pattern, name)
        if match and not os.path.exists("/proc/" + match.group(1)):
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
