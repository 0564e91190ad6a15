#!/bin/bash
# Import the CSV of an export with Modoboa's own program, and export it again. $1: the export; its passphrase comes on standard input.
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chown modoboa: "$place"
read -r passphrase
for name in domains identities; do
  gpg --batch --quiet --pinentry-mode loopback --passphrase-fd 3 --decrypt "$1/$name.csv.gpg" >"$place/$name.csv" 3<<<"$passphrase"
  chown modoboa: "$place/$name.csv"
done
cd /srv/modoboa/instance
as() { runuser -u modoboa -- /srv/modoboa/env/bin/python manage.py "$@"; }
# the administrator is there already
as modo import "$place/domains.csv" >/dev/null 2>&1
echo "domains $?"
as modo import --continue-if-exists "$place/identities.csv" >/dev/null 2>&1
echo "identities $?"
as modo export identities >"$place/again.csv"
# rows without the administrator's
for file in identities again; do grep -v '^account;admin;' "$place/$file.csv" | sort >"$place/$file.sorted"; done
cmp "$place/identities.sorted" "$place/again.sorted" && echo "the second export is the first"
