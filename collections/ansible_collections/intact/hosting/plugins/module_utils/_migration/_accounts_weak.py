# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How good a password's hash is, by its shape only, and whether this host's libcrypt takes it. A hash leaves this file in no form."""

from __future__ import annotations

import ctypes
import re

_SHAPES = (
    (r"\$(y|gy|7)\$", "yescrypt", False),
    (r"\$2[abxy]?\$[0-9]{2}\$.{53}\Z", "bcrypt", False),
    (r"\$6\$", "SHA-512", False),
    (r"\$5\$", "SHA-256", False),
    (r"\$1\$", "MD5", True),
    (r"\$apr1\$", "MD5 (Apache's)", True),
    (r"\$md5", "MD5 (Sun's)", True),
    (r"\$sha1\$", "SHA-1", True),
    (r"\$3\$", "NT", True),
    (r"_[./0-9A-Za-z]{19}\Z", "DES (BSDi's)", True),
    (r"[./0-9A-Za-z]{13}\Z", "DES", True),
    (r"[./0-9A-Za-z]{2}([./0-9A-Za-z]{11}){2,}\Z", "BigCrypt", True),
)
FEW_ROUNDS = 5000


def kind(password):
    """(what it is, whether it is weak): of "" "empty", of what locks only "locked"; a lock before a hash is looked behind."""
    body = password.lstrip("!")
    if password == "":
        return "empty", True
    if body in ("", "*", "*LK*", "*NP*", "NP", "x") or body.startswith("*"):
        return "locked", False
    for shape, name, weak in _SHAPES:
        if re.match(shape, body):
            rounds = re.match(r"\$[56]\$rounds=([0-9]+)\$", body)
            if rounds and int(rounds.group(1)) < FEW_ROUNDS:
                return "%s with %s rounds" % (name, rounds.group(1)), True
            return name, weak
    return "no hash (plain text?)", True


def taken(password):
    """Whether this host's libcrypt can verify such a hash, None when it can't be asked."""
    try:
        library = ctypes.CDLL("libcrypt.so.1")
        ask = library.crypt_checksalt
    except (OSError, AttributeError):
        try:
            ask = ctypes.CDLL("libcrypt.so.2").crypt_checksalt
        except (OSError, AttributeError):
            return None
    ask.argtypes, ask.restype = [ctypes.c_char_p], ctypes.c_int
    # 1: no such method, 2: switched off (crypt_checksalt(3)); 3 and 4 still verify
    return ask(password.lstrip("!").encode("utf-8", "surrogateescape")) not in (1, 2)
