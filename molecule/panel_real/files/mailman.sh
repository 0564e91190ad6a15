#!/bin/bash
# Set Mailman 3 up and fill it. $1: sqlite or postgresql.
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
config=/etc/mailman3/mailman.cfg
systemctl stop mailman3
if [ "$1" = postgresql ]; then
  password=$(sed -n 's/.*"database": "\([^"]*\)".*/\1/p' /root/planted.json)
  runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 <<SQL
CREATE USER mailman PASSWORD '$password';
CREATE DATABASE mailman OWNER mailman;
SQL
  sed -i 's|^class: mailman.database.*|class: mailman.database.postgresql.PostgreSQLDatabase|' $config
  sed -i "s|^url: .*|url: postgresql://mailman:$password@localhost/mailman|" $config
fi
printf '\n[archiver.prototype]\nenable: yes\n' >>$config
rm -f /var/lib/mailman3/locks/*
systemctl start mailman3
python3 /opt/lab/fill_mailman.py /root/planted.json
chown -R list:list /var/lib/mailman3/templates
touch /root/filled-mailman
