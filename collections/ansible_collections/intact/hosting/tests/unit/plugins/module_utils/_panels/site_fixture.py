# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site without a panel: a web site with a certificate, a customer with a job, aliases, and what the services' programs say of them."""

from __future__ import annotations

import base64

from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

# In what the site keeps secret.
SECRETS = ("PRIVATE-PLANTED", "HASH-PLANTED", "CRON-PLANTED")
DER = b"a certificate"
PEM = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(DER) + b"\n-----END CERTIFICATE-----\n"
SITE = """server { listen 443 ssl; server_name example.com www.example.com; root /srv/example;
ssl_certificate /etc/ssl/local/example.pem; ssl_certificate_key /etc/ssl/private/example.key; }
"""
NGINX = "http { include sites-enabled/*; }\n"
FILES = {
    "/etc/machine-id": "aa11\n",
    "/etc/hostname": "web1\n",
    "/etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "/etc/nginx/nginx.conf": NGINX,
    "/etc/nginx/sites-enabled/example": SITE,
    "/etc/ssl/local/example.pem": PEM,
    "/etc/ssl/private/example.key": "PRIVATE-PLANTED",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann:/home/ann:/bin/bash\n",
    "/etc/shadow": "root:*:19000:0:99999:7:::\nann:$6$HASH-PLANTED:19000:0:99999:7:::\n",
    "/etc/group": "root:x:0:\nann:x:1000:\n",
    "/var/spool/cron/crontabs/ann": "5 * * * * curl -u ann:CRON-PLANTED https://x.example/ping\n",
    "/etc/cron.d/site": "7 3 * * * root /usr/bin/php \\o/\n",
    "/etc/postfix/main.cf": "alias_maps = hash:/etc/aliases\nrelayhost = [smtp.example.com]\n",
    "/etc/aliases": "postmaster: root\nsales: ann\n",
    "/bin/bash": "",
}


def said_by_postconf(argv, stdin):
    return "alias_maps = hash:/etc/aliases\n" if "-x" in argv else "alias_maps = hash:/etc/aliases\nrelayhost = [smtp.example.com]\n" if "-n" in argv else ""


def host(files=None, commands=None):
    programs = {
        "nginx -T": "# configuration file /etc/nginx/nginx.conf:\n%s# configuration file /etc/nginx/sites-enabled/example:\n%s" % (NGINX, SITE),
        "postconf": said_by_postconf,
        "postmap": "postmaster\troot\nsales\tann\n",
        "openssl": (1, "", "connect refused"),
        "crontab": "",
    }
    return FakeSystem(files=dict(FILES, **(files or {})), commands=dict(programs, **(commands or {})))
