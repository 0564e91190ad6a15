# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what: passwords, credentials, deleting, and secrets that nobody may see."""

from __future__ import annotations

import os
import subprocess
import time

from damage_lab import Server, at, drill, expect, filled, good, restic, source


@drill
def wrong_password():
    """Another password."""
    filled("password")
    outcome = restic(at("password"), password="falsch").backup([source()])
    return expect(outcome.findings("vault", "files"), "backup.repository.password", "vault files")


@drill
def refused_credentials():
    """Another user's password at the server."""
    server = Server(at("refused"))
    try:
        server.restic().init()
        other = at("environment-other")
        with open(os.open(other, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as handle:
            handle.write("RESTIC_REST_USERNAME=web1\nRESTIC_REST_PASSWORD=falsch!/@\n")
        outcome = restic("rest:" + server.address, environment_file=other).backup([source()])
    finally:
        server.stop()
    assert "falsch" not in outcome.said, outcome.said
    return expect(outcome.findings("vault"), "backup.repository.password", "vault")


@drill
def append_only_survives_deletion():
    """With the host's own credentials: forgetting, deleting files and overwriting fail; the copy restores."""
    server = Server(at("append"))
    try:
        one = server.restic()
        good(one.init())
        shot = one.backup([source()]).snapshot
        outcome = one.run(["forget", shot])
        told = expect(outcome.findings("vault", "files", "snapshot " + shot[:8]), "backup.repository.refused", shot[:8])
        for path in ("snapshots/" + shot, "keys/" + os.listdir(at("append/keys"))[0], "config"):
            said = subprocess.run(
                ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", "web1:geheim2", "-X", "DELETE", server.address + path],
                capture_output=True,
                check=True,
            )
            assert said.stdout == b"403", (path, said.stdout)
        assert [entry["id"] for entry in one.snapshots()] == [shot]
        good(one.restore(shot, at("survived")))
        assert os.path.exists(os.fsencode(at("survived")) + source() + b"/big")
    finally:
        server.stop()
    return told


@drill
def secrets_are_nowhere():
    """Not in arguments, not in the environment's values, not in what is told."""
    server = Server(at("secret"), user=("web1", "p@ss/w:rt"))
    try:
        one = server.restic(password="hauptwort")
        good(one.init())
        stream = one.stdin("/intact/x")
        time.sleep(1)
        with open("/proc/%d/cmdline" % stream.pid, "rb") as handle:
            seen = handle.read()
        with open("/proc/%d/environ" % stream.pid, "rb") as handle:
            seen += handle.read()
        outcome = stream.abort()
    finally:
        server.stop()
    seen += outcome.said.encode()
    held = [word for word in (b"hauptwort", b"p@ss", b"p%40ss") if word in seen]
    assert held in ([], [b"p@ss"]) and (not held or one.has("rest-environment")), held
    return "restic %s: %s" % (".".join(map(str, one.version)), "in its environment" if held else "nowhere")
