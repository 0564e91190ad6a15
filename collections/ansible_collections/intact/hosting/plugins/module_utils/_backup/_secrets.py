# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Secrets by file: refuses files that others may read, puts together the environment that restic gets, and takes secrets out of what is told."""

from __future__ import annotations

import os
import re
import stat
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# What has its own key in the job, or would let the file choose other programs.
FORBIDDEN = re.compile(r"(RESTIC_(PASSWORD|REPOSITORY|FROM_)\w*|PATH|LD_\w+|HOME|IFS|BASH_ENV)\Z")
REST_USER, REST_PASSWORD = "RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"


def read_secret(path, what):
    """The bytes of a secret file. Refuses one that group or others may read, that is no plain file, that is not root's or our own, or that is empty."""
    try:
        state = os.stat(path)
    except OSError as exc:
        raise IntactError("%s %s cannot be read: %s; put it there with mode 0600" % (what, path, exc.strerror), path=path) from None
    if not stat.S_ISREG(state.st_mode):
        raise IntactError("%s %s is no plain file" % (what, path), path=path)
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise IntactError(
            "%s %s can be read by others (mode %04o): chmod 0600 it, and change the secret" % (what, path, stat.S_IMODE(state.st_mode)), path=path
        )
    if state.st_uid not in (0, os.geteuid()):
        raise IntactError("%s %s belongs to user %d: chown it to root" % (what, path, state.st_uid), path=path)
    data = read_if_exists(path, 1 << 20)
    if not (data or b"").strip():
        raise IntactError("%s %s is empty" % (what, path), path=path)
    return data


def parse_environment(data, path):
    """{KEY: value} of an environment file: KEY=VALUE lines, # comments, one pair of quotes around a value. Pure. Messages never hold a value."""
    out = {}
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, sign, value = line.partition("=")
        if not sign or not re.match(r"[A-Z][A-Z0-9_]*\Z", key):
            raise IntactError("line %d of %s is not KEY=VALUE" % (number, path), path=path, line=number)
        if FORBIDDEN.match(key):
            raise IntactError("%s may not be set in %s: the job has a key of its own for it" % (key, path), path=path, line=number)
        out[key] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    return out


def environment(repository, native_rest):
    """({variables for restic}, its address with credentials when it must hold them, [secrets]).

    native_rest: whether this restic reads user and password of a REST server from the environment (since 0.16.1).
    Older ones know them only as part of the address, which then goes into a file that only the process itself sees.
    """
    password = read_secret(repository["password_file"], "the password file of repository %s" % repository["name"])
    values = {}
    if repository.get("environment_file"):
        path = repository["environment_file"]
        values = parse_environment(read_secret(path, "the environment file of repository %s" % repository["name"]), path)
    secrets = [password.decode("utf-8", "surrogateescape").strip()] + [v for k, v in values.items() if re.search("PASS|SECRET|KEY|TOKEN|SAS", k)]
    url = repository["url"]
    if url.startswith("rest:") and not native_rest and REST_USER in values:
        user, word = values.pop(REST_USER), values.pop(REST_PASSWORD, "")
        url = with_credentials(url, user, word)
        secrets.append(urllib.parse.quote(word, safe=""))
    return dict(values, RESTIC_PASSWORD_FILE=repository["password_file"]), url, [secret for secret in secrets if secret]


def with_credentials(url, user, password):
    """rest:https://host/ -> rest:https://user:password@host/. Pure."""
    head, sign, rest = url[len("rest:") :].partition("://")
    return "rest:%s%s%s:%s@%s" % (
        head,
        sign,
        urllib.parse.quote(user, safe=""),
        urllib.parse.quote(password, safe=""),
        rest.rpartition("@")[2] if "@" in rest.split("/")[0] else rest,
    )


def redact(text, secrets):
    """The text without any of the secrets. Pure."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"(://[^/\s:@]+):[^/\s@]+@", r"\1:***@", text)
