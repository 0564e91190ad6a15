# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Outside observer of a server's services: run | check | summarise. Python 3.8, standard library."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

import observer
import record


def main(argv=None):
    parser = argparse.ArgumentParser(prog="outage_probe", description="Watch services from outside and record when they were away.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "watch until SIGTERM"), ("check", "poll every target once and print what was seen")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--config", required=True)
        command.add_argument("--credentials", help="JSON file {name: {user, password, database}}, readable by this user only")
        if name == "run":
            command.add_argument("--record", required=True)
    command = commands.add_parser("summarise", help="print outages.json for a record")
    command.add_argument("--record", required=True)
    command.add_argument("--since")
    command.add_argument("--until")
    args = parser.parse_args(argv)
    try:
        if args.command == "summarise":
            records, torn = record.read(args.record)
            print(json.dumps(record.summarise(records, torn, args.since, args.until), indent=1, sort_keys=True))
            return 0
        config = observer.read_json(args.config)
        credentials = observer.read_json(args.credentials) if args.credentials else {}
        if args.command == "check":
            print(json.dumps(asyncio.run(observer.check(config, credentials))))
            return 0
        asyncio.run(observer.run(config, credentials, record.Record(args.record)))
        return 0
    except (observer.BadConfig, OSError, ValueError) as exc:
        print("outage_probe: %s" % exc, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
