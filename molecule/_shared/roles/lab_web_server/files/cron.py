# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Crontabs of customers, the server's own jobs, a customer's timer, logrotate."""

from __future__ import annotations

import lab

# At night: nothing of it runs while somebody looks.
CRONTABS = {
    "hilltop": "MAILTO=anna@hilltop.test\n# m h dom mon dow command\n5 2 * * * find $HOME/logs -name '*.gz' -mtime +365 -delete\n"
    '@weekly test -d $HOME/www && echo "week $(date +\\%V)" >/dev/null\n',
    "northwind": "0 3 * * 1 php /usr/share/wordpress/wp-cron.php >/dev/null 2>&1\n",
    "j.doe": "PATH=/usr/bin:/bin\n30 1 1 1 * /usr/bin/true # New Year\n",
    "carol": "15 5 * * 0 test -s /var/mail/carol\n",
}


def main() -> None:
    for name, text in CRONTABS.items():
        if lab.run("crontab", "-u", name, "-l", check=False) != text:
            lab.run("crontab", "-u", name, "-", data=text)
            lab.changed(f"crontab of {name}")
    lab.place("etc/cron.d/hosting")
    lab.place("usr/local/bin/hosting-report", 0o755)
    lab.place("etc/logrotate.d/hosting")
    lab.folder("/home/harbour/bin", 0o755, "harbour:harbour")
    lab.place("home/harbour/bin/count-entries", 0o755, "harbour:harbour")
    fresh = lab.place("etc/systemd/system/harbour-report.service")
    fresh |= lab.place("etc/systemd/system/harbour-report.timer")
    if fresh:
        lab.run("systemctl", "daemon-reload")
    lab.service("harbour-report.timer")
    lab.service("cron.service")


if __name__ == "__main__":
    main()
