# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a Modoboa instance: `manage.py shell < fill_modoboa.py`, with the path of the planted secrets in PLANTED and a directory for files in FILES.

Customers come in by Modoboa's own import of CSV; what that can't say is made with its models.
"""

import json
import os
import pathlib
import subprocess

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from modoboa.admin.models import Alias, Domain, Mailbox
from modoboa.autoreply.models import ARmessage
from modoboa.core.models import LocalConfig, ObjectAccess, User
from modoboa.relaydomains.models import RecipientAccess
from modoboa.transport.models import Transport

planted = json.loads(pathlib.Path(os.environ["PLANTED"]).read_text(encoding="utf-8"))
files = pathlib.Path(os.environ["FILES"])
password = planted["modoboa"] + "A1"
rows = [
    "domain;lists.test;100;10;True",
    "domain;catch.test;0;0;True",
    "domain;off.test;0;0;False",
    "domainalias;alias.test;lists.test;True",
    "account;ann@lists.test;%s;Änn;Größe; True;SimpleUsers;ann@lists.test;5" % password,
    "account;bob@lists.test;%s;=Eq;-Dash;True;SimpleUsers;bob@lists.test;0" % password,
    "account;chef@catch.test;%s;+Plus;@At;True;DomainAdmins;chef@catch.test;0;catch.test" % password,
    "account;plain@catch.test;%s;'quoted;O'Neil;False;SimpleUsers;plain@catch.test;0" % password,
    "alias;sales@lists.test;True;ann@lists.test;bob@lists.test;extern@example.net",
    "alias;@catch.test;True;chef@catch.test",
    "alias;off@lists.test;False;ann@lists.test",
]
given = files / "given.csv"
given.write_text("\n".join(rows) + "\n", encoding="utf-8")
call_command("modo", "import", "--crypt-passwords", str(given))
given.unlink()

admin = User.objects.get(username="admin")
relay = Domain(name="relay.test", type="relaydomain", enabled=True)
relay.transport = Transport.objects.create(
    pattern="relay.test",
    service="relay",
    next_hop="[mx.example.net]:25",
    _settings={"relay_target_host": "mx.example.net", "relay_target_port": 25, "relay_verify_recipients": False},
)
relay.save()
RecipientAccess.objects.create(pattern="relay.test", action="reject_unverified_recipient")

key = files / "lists.test.pem"
subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
domain = Domain.objects.get(name="lists.test")
domain.enable_dkim, domain.dkim_key_selector, domain.dkim_private_key_path = True, "mail2026", str(key)
domain.save()

ann = Mailbox.objects.get(address="ann", domain=domain)
ARmessage.objects.create(mbox=ann, subject="=weg", content="Bin weg; bis Montag", enabled=True)
ann.senderaddress_set.create(address="office@example.net")
Alias.objects.filter(address="sales@lists.test").update(description="Verkauf; 'alle'")
chef = User.objects.get(username="chef@catch.test")
ObjectAccess.objects.get_or_create(user=chef, content_type=ContentType.objects.get_for_model(domain), object_id=domain.pk)
local = LocalConfig.objects.first()
local.parameters.set_value("default_domain_quota", 42, app="admin")
local.parameters.set_value("ldap_bind_password", planted["modoboa"], app="core")
local.save()
print("filled")
