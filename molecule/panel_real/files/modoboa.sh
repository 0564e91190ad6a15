#!/bin/bash
# An instance of Modoboa, as its program deployed it when the image was built. $1: filled, or empty.
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
as() { runuser -u modoboa -- env PATH="/srv/modoboa/env/bin:$PATH" "$@"; }
until redis-cli ping >/dev/null 2>&1; do sleep 0.5; done
# its program makes a database that everybody may read
chmod 0750 /srv/modoboa
cd /srv/modoboa
as tar -xf deployed.tar
as python3 - <<'PYTHON'
import pathlib, re, secrets
path = pathlib.Path("instance/instance/settings.py")
text, number = re.subn(r"(?m)^SECRET_KEY = .*", "SECRET_KEY = %r" % secrets.token_hex(25), path.read_text())
assert number == 1
path.write_text(text)
PYTHON
if [ "$1" = filled ]; then
  install -d -o modoboa -g modoboa -m 0700 /srv/modoboa/dkim
  install -o modoboa -g modoboa -m 0600 /root/planted.json /srv/modoboa/planted.json
  cd instance
  as env PLANTED=/srv/modoboa/planted.json FILES=/srv/modoboa/dkim sh -c 'python manage.py shell </opt/lab/fill_modoboa.py'
  rm /srv/modoboa/planted.json
fi
touch /root/filled-modoboa
