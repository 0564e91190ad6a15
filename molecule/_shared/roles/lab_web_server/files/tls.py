# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab CA that signs one certificate per name; its key is thrown away when all are signed."""

from __future__ import annotations

import os
import tempfile

import lab

# certificate's name: names in it
NAMES = {
    "www.hilltop.test": ("www.hilltop.test", "hilltop.test", "old.hilltop.test"),
    "blog.northwind.test": ("blog.northwind.test",),
    "wiki.harbour.test": ("wiki.harbour.test",),
    "guests.harbour.test": ("guests.harbour.test",),
    "mail.hilltop.test": ("mail.hilltop.test", "mail.northwind.test", "mail.harbour.test", "web1.lab.test"),
}
CA = "/usr/local/share/ca-certificates/intact-lab.crt"
FOLDER = "/etc/ssl/hosting"
DAYS = "1800"


def sign(work: str, name: str, alternatives: tuple[str, ...]) -> None:
    key, crt, request, ext = (f"{work}/{name}.{kind}" for kind in ("key", "crt", "csr", "ext"))
    lab.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    lab.run("openssl", "req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    with open(ext, "w", encoding="ascii") as out:
        out.write("subjectAltName=" + ",".join(f"DNS:{n}" for n in alternatives) + "\n")
        out.write("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    lab.run(
        "openssl", "x509", "-req", "-in", request, "-CA", f"{work}/ca.crt", "-CAkey", f"{work}/ca.key",
        "-CAcreateserial", "-days", DAYS, "-sha256", "-extfile", ext, "-out", crt,
    )  # fmt: skip
    with open(crt, "rb") as chain:
        lab.put(f"{FOLDER}/{name}.crt", chain.read(), 0o644)
    with open(key, "rb") as secret:
        lab.put(f"{FOLDER}/{name}.key", secret.read(), 0o640, "root:ssl-cert")


def main() -> None:
    if not lab.succeeds("getent", "group", "ssl-cert"):
        lab.run("groupadd", "--system", "ssl-cert")
    lab.folder(FOLDER, 0o755)
    if os.path.exists(CA) and all(os.path.exists(f"{FOLDER}/{name}.crt") for name in NAMES):
        return
    with tempfile.TemporaryDirectory() as work:
        lab.run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/O=Intact lab/CN=Intact lab CA", "-days", DAYS, "-keyout", f"{work}/ca.key", "-out", f"{work}/ca.crt",
        )  # fmt: skip
        for name, alternatives in NAMES.items():
            sign(work, name, alternatives)
        with open(f"{work}/ca.crt", "rb") as root:
            lab.put(CA, root.read())
    lab.run("update-ca-certificates")


if __name__ == "__main__":
    main()
