# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Proof documents: their digest and their signature. A drill writes them (_backup/_proof.py), the pre-flight judges them (_preflight/proofs.py)."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import stat
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time

NAMESPACE = "intact-proof"
# What is about the document and not in it.
AROUND = ("digest", "signature")


def canonical(proof):
    """The bytes that digest and signature are about: the document without these two, whatever way it travelled."""
    held = {key: value for key, value in proof.items() if key not in AROUND}
    return json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def digest(proof):
    """sha256:... of a proof's content."""
    return "sha256:" + hashlib.sha256(canonical(proof)).hexdigest()


def closed(key_file):
    """Raise IntactError unless the key file is there, root's (or ours), and nobody else's to read."""
    try:
        state = os.stat(key_file)
    except OSError as exc:
        raise IntactError("the key for proofs %s can't be read: %s" % (key_file, exc.strerror), path=key_file) from None
    if stat.S_IMODE(state.st_mode) & 0o077 or state.st_uid not in (0, os.geteuid()):
        raise IntactError("the key for proofs %s can be read by others: chmod 0600 it, and chown it to root" % key_file, path=key_file)


def sign(proof, key_file, run=_command.run):
    """The proof with its digest and a signature by an SSH key without a passphrase, see closed()."""
    closed(key_file)
    proof = dict(proof, digest=digest(proof))
    said = run(["ssh-keygen", "-Y", "sign", "-f", key_file, "-n", NAMESPACE], stdin=canonical(proof), timeout=60)
    return dict(proof, signature=said.text)


def signer(proof, signers, run=_command.run):
    """(who signed, "") or ("", why the signature does not hold). signers: text of an allowed-signers file (ssh-keygen(1))."""
    text = str(proof.get("signature") or "")
    if not text:
        return "", "it is not signed"
    if not re.match(r"-----BEGIN SSH SIGNATURE-----\s", text):
        return "", "its signature is none that ssh-keygen makes"
    with tempfile.TemporaryDirectory(prefix="intact-proof-") as scratch:
        allowed, signature = os.path.join(scratch, "signers"), os.path.join(scratch, "signature")
        for path, content in ((allowed, signers), (signature, text)):
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(content.rstrip("\n") + "\n")
        found = run(["ssh-keygen", "-Y", "find-principals", "-f", allowed, "-s", signature], check=False, timeout=60)
        names = [line.strip() for line in found.text.splitlines() if line.strip()]
        if found.rc != 0 or not names:
            return "", "its key is none of the allowed signers'"
        for name in names[0].split(","):
            argv = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", name, "-n", NAMESPACE, "-s", signature]
            if run(argv, stdin=canonical(proof), check=False, timeout=60).rc == 0:
                return name, ""
    return "", "its signature is not about this content"


def shaped(proof):
    """Whether a proof is a drill's document, and not a sentence that somebody wrote by hand."""
    return isinstance(proof.get("repositories"), dict) and "schema" in proof


def covers(proof):
    """Which classes a drill's document names, and from where: text, empty for a sentence that somebody wrote by hand."""
    if not shaped(proof):
        return ""
    classes = sorted({name for entry in proof["repositories"].values() for name in entry.get("classes") or {}})
    return "%s, each from %s" % (" ".join(classes) or "no class", " and ".join(sorted(proof["repositories"])) or "no repository")


def late(text, hours, now):
    """Why a moment is not within the last hours, or ""."""
    age = now - parse_time(text)
    if age > datetime.timedelta(hours=hours):
        return "%d hours old (%s), %d are allowed" % (age.total_seconds() // 3600, text, hours)
    if age < datetime.timedelta(minutes=-5):
        return "from the future (%s)" % text
    return ""


def weaknesses(proof, classes, hours, now, repositories=2):
    """Why a drill's document does not prove these classes, each from so many repositories: [sentence]. Pure.

    What counts is when the data was taken, for each class by itself: a drill of today on a snapshot of last month proves last month.
    """
    if proof.get("digest") != digest(proof):
        return ["its digest is not that of its content: it was changed after it was made"]
    told = []
    for name in classes:
        good, bad = [], []
        for repository, entry in sorted(proof["repositories"].items()):
            held = (entry.get("classes") or {}).get(name)
            if held is None:
                bad.append("%s: not drilled" % repository)
            elif held.get("result") != "proven":
                bad.append("%s: %s" % (repository, held.get("result") or "unproven"))
            else:
                why = late(held["taken"], hours, now) if held.get("taken") else "of an unknown time"
                (bad if why else good).append("%s: %s" % (repository, why))
        if len(good) < repositories:
            told.append("%s is proven from %d of %d repositories%s" % (name, len(good), repositories, " (%s)" % "; ".join(bad) if bad else ""))
    return told
