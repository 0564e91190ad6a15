#!/bin/bash
# Take this host from the first release of Debian that is named to each of the others, and keep what Mailman's rows are after each step.
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
install -d -m 0700 /root/upgrade
exec >/var/log/upgrade.log 2>&1 </dev/null
export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none UCF_FORCE_CONFFOLD=1 LC_ALL=C.UTF-8
apt() { apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"; }
from=$1
shift
for to in "$@"; do
  sed -i "s/\b$from\b/$to/g" /etc/apt/sources.list
  apt update
  apt upgrade --without-new-pkgs
  apt full-upgrade
  apt clean
  # Debian leaves its own text of the configuration beside it and in a cache: with this host's password, and readable for everybody
  find /etc/mailman3 /var/lib/ucf/cache -type f -name '*mailman.cfg*' -exec chmod --reference=/etc/mailman3/mailman.cfg {} +
  # its first command brings the schema to its own
  runuser -u list -- mailman lists -q
  python3 /opt/lab/eyes.py mailman >"/root/upgrade/$to.json"
  echo "== $to: $(date +%T)"
  from=$to
done
until systemctl is-active mailman3; do sleep 1; done
touch /root/upgrade/done
