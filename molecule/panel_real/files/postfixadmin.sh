#!/bin/bash
# Set PostfixAdmin up. $1: sqlite or mysql. $2: filled, or empty.
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
password=$(sed -n 's/.*"database": "\([^"]*\)".*/\1/p' /root/planted.json)
local=/etc/postfixadmin/config.local.php
install -o root -g www-data -m 0640 /dev/null $local
cat >$local <<'PHP'
<?php
$CONF['configured'] = true;
$CONF['emailcheck_resolve_domain'] = 'NO';
$CONF['encrypt'] = 'php_crypt:SHA512';
PHP
if [ "$1" = mysql ]; then
  mariadb <<SQL
CREATE DATABASE postfixadmin CHARACTER SET utf8mb4;
CREATE USER postfixadmin@localhost IDENTIFIED BY '$password';
GRANT ALL ON postfixadmin.* TO postfixadmin@localhost;
SQL
  cat >>$local <<PHP
\$CONF['database_type'] = 'mysqli';
\$CONF['database_host'] = 'localhost';
\$CONF['database_user'] = 'postfixadmin';
\$CONF['database_password'] = '$password';
\$CONF['database_name'] = 'postfixadmin';
PHP
  printf '#!/bin/sh\nexec mariadb postfixadmin\n' >/opt/lab/sql
else
  install -d -o www-data -g www-data -m 0750 /var/lib/postfixadmin
  install -o www-data -g www-data -m 0640 /dev/null /var/lib/postfixadmin/postfixadmin.db
  cat >>$local <<'PHP'
$CONF['database_type'] = 'sqlite';
$CONF['database_name'] = '/var/lib/postfixadmin/postfixadmin.db';
PHP
  printf '#!/bin/sh\nexec sqlite3 -bail /var/lib/postfixadmin/postfixadmin.db\n' >/opt/lab/sql
fi
chmod 0755 /opt/lab/sql
[ "$2" = empty ] || bash /opt/lab/fill_postfixadmin.sh /opt/lab/sql
touch /root/filled-postfixadmin
