# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The accounts of a CentOS 5 of 2008 and of a fresh Debian 13, as files in scratch roots, and a migration between them."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity_map, _identity_run

DES, MD5, SHA = "abJnggxhB/yWI", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "$6$saltstring$" + "s" * 86
BIG, BCRYPT = "ab" + "J" * 22, "$2a$08$" + "b" * 53
OLD_PASSWD = b"""root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
mail:x:8:12:mail:/var/spool/mail:/sbin/nologin
ftp:x:14:50:FTP User:/var/ftp:/sbin/nologin
mysql:x:27:27:MySQL Server:/var/lib/mysql:/bin/bash
named:x:25:25:Named:/var/named:/sbin/nologin
mailman:x:41:41:GNU Mailing List Manager:/usr/lib/mailman:/sbin/nologin
apache:x:48:48:Apache:/var/www:/sbin/nologin
postfix:x:89:89::/var/spool/postfix:/sbin/nologin
nobody:x:99:99:Nobody:/:/sbin/nologin
nfsnobody:x:65534:65534:Anonymous NFS User:/var/lib/nfs:/sbin/nologin
oracle:x:200:200::/opt/oracle:/bin/bash
squid:x:23:23::/var/spool/squid:/sbin/nologin
toor:x:0:0:backdoor:/root:/bin/bash
anna:x:500:500:Anna M\xfcller:/home/anna:/bin/bash
bob:x:501:501::/home/bob:/bin/bash
carol.x:x:502:502::/home/carol.x:/usr/local/bin/scponly
ftpcarol:x:502:502:second name:/home/carol.x/ftp:/bin/false
dave:x:503:100::/home/dave:/bin/tcsh
eve:x:504:504::/home/eve:/bin/bash
list:x:505:505:A customer:/home/list:/bin/bash
deploy:x:506:506::/home/deploy:/bin/bash
frank:x:998:998::/home/frank:/bin/bash
gina:x:1000:1000::/home/gina:/bin/bash
wally:x:507:10::/home/wally:/bin/bash
vmail:x:5000:5000::/var/vmail:/sbin/nologin
broken line
half:x:notanumber:1::/:/bin/sh
minus:x:4294967295:1::/:/bin/sh
anna:x:777:777:again:/home/anna2:/bin/bash
+@netgroup::::::
+::::::
"""
OLD_SHADOW = """root:%(SHA)s:14000:0:99999:7:::
bin:*:14000:0:99999:7:::
mysql:!!:14000::::::
apache:!!:14000::::::
postfix:!!:14000::::::
oracle:%(MD5)s:14000:0:99999:7:::
toor:%(DES)s:14000:0:99999:7:::
anna:%(MD5)s:14000:0:99999:7:::
bob:%(DES)s:14000:3:90:7:14:14999:
carol.x:%(BIG)s:14000:0:99999:7:::
ftpcarol:!%(SHA)s:14000:0:99999:7:::
dave::14000:0:99999:7:::
eve:%(SHA)s:14000:0:99999:7:::
list:%(SHA)s:14000:0:99999:7:::
deploy:%(BCRYPT)s:14000:0:99999:7:::
frank:geheim:14000:0:99999:7:::
gina:!!%(SHA)s:14000:0:99999:7:::
wally:%(SHA)s:14000:0:99999:7:::
vmail:!!:14000:0:99999:7:::
""" % {"SHA": SHA, "MD5": MD5, "DES": DES, "BIG": BIG, "BCRYPT": BCRYPT}
OLD_GROUP = """root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
disk:x:6:root,eve
mem:x:8:
wheel:x:10:root,anna
mail:x:12:mail
ftp:x:50:
mysql:x:27:
named:x:25:
mailman:x:41:
apache:x:48:bob
postdrop:x:90:
postfix:x:89:
nobody:x:99:
nfsnobody:x:65534:
users:x:100:dave,eve
oracle:x:200:
squid:x:23:
ftpusers:x:490:anna,ghost
anna:x:500:apache
bob:x:501:
carol.x:x:502:
eve:x:504:
list:x:505:
deploy:x:506:
docker:x:510:eve
staffer:x:600:anna,bob
frank:x:998:
gina:x:1000:
vmail:x:5000:postfix
"""
NEW_PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
list:x:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
systemd-network:x:998:998:systemd Network Management:/:/usr/sbin/nologin
messagebus:x:100:101::/nonexistent:/usr/sbin/nologin
postfix:x:102:104::/var/spool/postfix:/usr/sbin/nologin
mysql:x:103:106:MySQL Server:/nonexistent:/bin/false
sshd:x:501:65534::/run/sshd:/usr/sbin/nologin
deploy:x:1000:1000::/home/deploy:/bin/bash
bob:x:1001:1001::/home/bob:/bin/bash
"""
NEW_SHADOW = """root:$y$j9T$new$new:20000:0:99999:7:::
daemon:*:20000:0:99999:7:::
mail:*:20000:0:99999:7:::
www-data:*:20000:0:99999:7:::
deploy:$y$j9T$deploy$deploy:20000:0:99999:7:::
bob:!:20000:0:99999:7:::
"""
NEW_GROUP = """root:x:0:
daemon:x:1:
bin:x:2:
disk:x:6:
mail:x:8:
wwwadm:x:9:
www-data:x:33:
list:x:38:
sudo:x:27:deploy
shadow:x:42:
users:x:100:
nogroup:x:65534:
systemd-network:x:998:
messagebus:x:101:
postfix:x:104:
postdrop:x:105:
mysql:x:106:
docker:x:997:
deploy:x:1000:
bob:x:1001:
"""


def gshadow(group):
    """What grpconv would make of a group file."""
    return "".join("%s:!::%s\n" % (row[0], row[3]) for row in (line.split(":") for line in group.splitlines()))


def write(root, files):
    """Write {path: bytes or text or (content, mode)} below root."""
    for path, content in files.items():
        content, mode = content if isinstance(content, tuple) else (content, 0o644)
        full = os.path.join(str(root), path.lstrip("/"))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as handle:
            handle.write(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
        os.chmod(full, mode)


def read(*parts):
    """A file as text, byte for byte."""
    with open(os.path.join(*map(str, parts)), encoding="latin-1", newline="") as handle:
        return handle.read()


def roots(tmp_path):
    """(old root, new root) with the accounts, shells and login.defs of both."""
    old, new = tmp_path / "old", tmp_path / "new"
    write(
        old,
        {
            "/etc/passwd": OLD_PASSWD,
            "/etc/shadow": (OLD_SHADOW, 0o400),
            "/etc/group": OLD_GROUP,
            "/etc/gshadow": (gshadow(OLD_GROUP), 0o400),
            "/etc/login.defs": "MAIL_DIR\t/var/spool/mail\nUID_MIN\t\t\t  500\nGID_MIN  500\n",
            "/etc/redhat-release": "CentOS release 5.2 (Final)\n",
        },
    )
    write(
        new,
        {
            "/etc/passwd": NEW_PASSWD,
            "/etc/shadow": (NEW_SHADOW, 0o640),
            "/etc/group": NEW_GROUP,
            "/etc/gshadow": (gshadow(NEW_GROUP), 0o640),
            "/etc/login.defs": "#UID_MIN 5\nUID_MIN 1000\nGID_MIN 1000\n",
            "/bin/bash": ("x", 0o755),
            "/bin/sh": ("x", 0o755),
            "/bin/false": ("x", 0o755),
            "/usr/sbin/nologin": ("x", 0o755),
            "/sbin/nologin": ("x", 0o755),
        },
    )
    return old, new


def parameters(old, new, **more):
    """identity_map_info's parameters."""
    empty = {"owners": {}, "trees": [], "same": [], "rename": {}, "services": {}, "carry": [], "powers": {}, "range": [200000, 299999], "dest": None}
    return dict(empty, root=str(old), target=str(new), **more)


class StandIn:
    """What a phase sees of _context.Context, on scratch roots."""

    def __init__(self, old, new, directory, settings=None):
        self.root, self.old, self.system = str(old), Rooted(os.path.realpath(str(old))), Rooted(os.path.realpath(str(new)))
        self.directory, self.settings, self.told = str(directory), dict(settings or {}), []
        self.ident = os.path.basename(self.directory)
        os.makedirs(self.directory, mode=0o700, exist_ok=True)

    def identity(self):
        """The map."""
        return _identity_map.load(os.path.join(self.directory, "identity.json"))

    def document(self, phase):
        """Nothing is known of any phase."""
        return {"phase": phase, "status": "", "counts": {}, "findings": [], "explained": []}

    def phase_directory(self, phase):
        """PHASE.d."""
        path = os.path.join(self.directory, phase + ".d")
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def tell(self, line):
        """Progress."""
        self.told.append(line)


def migration(tmp_path, **more):
    """A StandIn between the two roots whose identity map is written."""
    old, new = roots(tmp_path)
    context = StandIn(old, new, tmp_path / "web1-2008")
    _identity_run.run(parameters(old, new, dest=context.directory + "/identity.json", **more))
    return context
