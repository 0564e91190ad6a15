# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the plan lay on a disk: a web server, zones and certificates of years ago."""

from __future__ import annotations

import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted

HTTPD = """ServerRoot "/etc/httpd"
Include conf.d/*.conf
NameVirtualHost *:80
"""
VHOSTS = """# customers
<VirtualHost *:80>
  ServerName shop.example
  ServerAlias www.shop.example
  DocumentRoot /var/www/vhosts/shop/htdocs
  php_admin_value open_basedir /var/www/vhosts/shop
  AddHandler php5-script .php
  ErrorLog logs/shop_error.log
  <Directory /var/www/vhosts/shop/htdocs>
    Order allow,deny
    Allow from all
  </Directory>
</VirtualHost>

<VirtualHost 192.0.2.7:443>
  ServerName secure.example:443
  DocumentRoot "/home/carol/web site"
  SSLEngine on
  SSLProtocol all -SSLv2
  SSLCertificateFile /etc/pki/tls/certs/secure.crt
  SSLCertificateKeyFile /etc/pki/tls/private/secure.key
  <Location /admin>
    Order deny,allow
    Deny from all
    Allow from 192.0.2.0/24
  </Location>
</VirtualHost>
"""
NAMED = """// written by hand in 2004
options { directory "/var/named"; /* recursion
 no; */ };
zone "." IN { type hint; file "named.ca"; };
zone "0.0.127.in-addr.arpa" IN { type master; file "named.local"; };
zone "shop.example" IN { type master; file "shop.example.zone"; };
zone "other.example" { type slave; file "slaves/other"; masters { 192.0.2.53; }; };
zone "lost.example" { type master; file "gone.zone"; };
"""
ZONE = """$TTL 1D
@ IN SOA ns1 hostmaster.shop.example. (
      2008112301 ; serial
      3H 15M 1W 1D ) ; minimum
  IN NS ns1
  NS ns2.other.example.
ns1 A 192.0.2.7
@ MX 10 mail
mail 300 IN A 192.0.2.7
www CNAME @
txt TXT "v=spf1 mx ; all" "two"
$ORIGIN sub.shop.example.
a AAAA 2001:db8::1
"""
SAME_ZONE = """$ORIGIN example.
shop 86400 IN SOA NS1.shop hostmaster.shop 2008112302 10800 900 604800 86400
shop 1d IN NS ns1.shop
shop 86400 IN NS ns2.other
shop 86400 IN MX 10 mail.shop.example.
ns1.shop 86400 A 192.0.2.7
mail.shop 5M A 192.0.2.7
www.shop 86400 CNAME shop.example.
txt.shop 86400 TXT "v=spf1 mx ; all" "two"
a.sub.shop 86400 AAAA 2001:db8::1
"""
FILES = {
    "etc/httpd/conf/httpd.conf": HTTPD,
    "etc/httpd/conf.d/vhosts.conf": VHOSTS,
    "etc/named.conf": NAMED,
    "var/named/shop.example.zone": ZONE,
    "etc/passwd": "root:x:0:0::/root:/bin/sh\ncarol:x:501:501::/home/carol:/bin/sh\n"
    "site:x:502:502::/data/site:/bin/sh\ndaemonlike:x:600:600::/var/lib/x:/bin/sh\n",
    "home/carol/web site/index.html": "x",
    "var/www/vhosts/shop/htdocs/index.php": "x",
    "data/site/index.html": "x",
    "usr/sbin/httpd": "x",
    "usr/sbin/vsftpd": "x",
    "usr/sbin/postfix": "x",
    "usr/share/doc/php-5.1.6/README": "x",
    "etc/php.d/mysql.ini": "extension=mysql.so\n",
    "etc/php.d/gd.ini": "extension=gd.so\n",
    "etc/sudoers": "root ALL=(ALL) ALL\nDefaults requiretty\ncarol ALL=(ALL) \\\n  NOPASSWD: /usr/bin/du\n",
    "etc/sysconfig/iptables": "*filter\n-A RH-Firewall-1-INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n"
    "-A INPUT -p tcp -m multiport --dports 25,143 -j ACCEPT\n-A INPUT -j DROP\n",
    "etc/postfix/main.cf": "# x\nmyhostname = old.example\nmydestination = a.example,\n  b.example\nqueue_directory = /q\nrelayhost =\n",
}
LIVE = {
    "etc/postfix/main.cf": "myhostname = new.example\nrelayhost =\n",
    "etc/php/8.4/fpm/php.ini": "",
    "etc/php/8.4/mods-available/gd.ini": "",
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
}


class Live(Rooted):
    """The new host: a tree, and the programs that it has."""

    programs = ("apache2ctl", "postfix", "apache2")

    def which(self, program):
        return "/usr/sbin/" + program if program in self.programs else None


def lay(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, capture_output=True)
