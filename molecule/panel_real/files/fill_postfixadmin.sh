#!/bin/bash
# Fill PostfixAdmin through its own command line; what that can't do is asked of its database. $1: how to run SQL on it, as one program.
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
sql=$1
cli() { runuser -u www-data -- bash /usr/share/postfixadmin/scripts/postfixadmin-cli "$@" 2>&1 | grep -v -e '^-*$' -e 'Deprecated' -e '^Welcome' || true; }
secret() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" /root/planted.json; }

runuser -u www-data -- php /usr/share/postfixadmin/public/upgrade.php >/dev/null
for domain in example.com shop.example.org empty.example.net; do
  cli domain add $domain --description "Kunde $domain; \"gut\" & 'günstig'" --aliases 20 --mailboxes 10
done
for name in ann bob carol; do
  cli mailbox add $name@example.com --password "$(secret mailbox)" --password2 "$(secret mailbox)" --name "Größe ${name^}, =1+1" --quota 50
done
cli mailbox add info@shop.example.org --password "$(secret mailbox)" --password2 "$(secret mailbox)" --quota 0
cli alias add sales@example.com --goto ann@example.com,bob@example.com,extern@example.net
cli alias add @shop.example.org --goto info@shop.example.org
cli domain add old.example.com
cli aliasdomain add old.example.com --target-domain example.com
cli admin add root@example.com --password "$(secret mailbox)" --password2 "$(secret mailbox)" --superadmin 1
cli admin add customer@example.com --password "$(secret mailbox)" --password2 "$(secret mailbox)" --domains example.com,shop.example.org
$sql <<SQL
INSERT INTO fetchmail (domain, mailbox, src_server, src_auth, src_user, src_password, src_folder, protocol, extra_options, returned_text, mda)
  VALUES ('example.com', 'ann@example.com', 'pop.example.net', 'password', 'ann', '$(secret fetchmail)', '', 'POP3', '', '', '');
INSERT INTO vacation (email, subject, body, cache, domain) VALUES ('bob@example.com', 'Weg', 'Bis Montag; danke, "Bob"', '', 'example.com');
INSERT INTO alias_domain (alias_domain, target_domain) SELECT 'old.example.com', 'example.com' WHERE NOT EXISTS (SELECT 1 FROM alias_domain);
SQL
echo filled
