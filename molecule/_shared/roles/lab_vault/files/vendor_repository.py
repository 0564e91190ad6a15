#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A software vendor's own apt repository, as real servers have them: signed, with a suite per Debian release."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path("/srv/vendor")
KEYS = Path("/root/vendor-keys")
SUITES = {"bookworm": "1.4.2-1+deb12", "trixie": "1.4.2-1+deb13"}
EPOCH = "1709366400"
CONTROL = """Package: acme-agent
Version: {version}
Architecture: all
Maintainer: Acme Support <support@acme.test>
Section: admin
Priority: optional
Description: inventory agent of a software vendor
 Stands for all that comes from a vendor's own repository.
"""
SITE = """server {
    listen 80;
    listen [::]:80;
    server_name _;
    root /srv/vendor;
    autoindex on;
}
"""


def run(*argv: str, cwd: Path | None = None, data: str | None = None) -> str:
    env = {**os.environ, "LC_ALL": "C.UTF-8", "GNUPGHOME": str(KEYS), "SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(argv, cwd=cwd, env=env, input=data, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def package(suite: str, version: str) -> None:
    build = Path("/var/tmp/acme-agent")
    run("rm", "-rf", str(build))
    (build / "DEBIAN").mkdir(parents=True)
    (build / "DEBIAN/control").write_text(CONTROL.format(version=version))
    (build / "etc/acme").mkdir(parents=True)
    (build / "etc/acme/agent.conf").write_text("# reports once a day\nserver = agent.acme.test\n")
    (build / "DEBIAN/conffiles").write_text("/etc/acme/agent.conf\n")
    (build / "usr/bin").mkdir(parents=True)
    program = build / "usr/bin/acme-agent"
    program.write_text(f"#!/bin/sh\necho acme-agent {version}\n")
    program.chmod(0o755)
    pool = ROOT / "pool" / suite
    pool.mkdir(parents=True, exist_ok=True)
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(build), str(pool / f"acme-agent_{version}_all.deb"))
    run("rm", "-rf", str(build))


def suite_index(suite: str) -> None:
    packages = run("apt-ftparchive", "packages", f"pool/{suite}", cwd=ROOT)
    for arch in ("amd64", "all"):
        folder = ROOT / "dists" / suite / "main" / f"binary-{arch}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Packages").write_text(packages)
    options = []
    fields = {"Origin": "Acme", "Label": "Acme", "Suite": suite, "Codename": suite}
    fields.update({"Architectures": "amd64 all", "Components": "main"})
    for key, value in fields.items():
        options += ["-o", f"APT::FTPArchive::Release::{key}={value}"]
    release = run("apt-ftparchive", *options, "release", f"dists/{suite}", cwd=ROOT)
    target = ROOT / "dists" / suite
    (target / "Release").write_text(release)
    run("gpg", "--batch", "--yes", "--clearsign", "-o", str(target / "InRelease"), str(target / "Release"))


def main() -> None:
    site = Path("/etc/nginx/sites-available/vendor")
    if (ROOT / "vendor.asc").exists() and site.exists():
        return
    KEYS.mkdir(mode=0o700, exist_ok=True)
    user = "Acme package signing <packages@acme.test>"
    run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", user, "rsa3072", "sign", "never")
    for suite, version in SUITES.items():
        package(suite, version)
        suite_index(suite)
    site.write_text(SITE)
    Path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
    enabled = Path("/etc/nginx/sites-enabled/vendor")
    if not enabled.is_symlink():
        enabled.symlink_to(site)
    run("systemctl", "enable", "-q", "nginx")
    run("systemctl", "restart", "nginx")
    (ROOT / "vendor.asc").write_text(run("gpg", "--armor", "--export"))
    print("changed: vendor repository")


if __name__ == "__main__":
    main()
