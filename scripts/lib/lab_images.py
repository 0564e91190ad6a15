# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the lab's images from Debian's archive: `lab-images [--list] [--rebuild] NAME...`.

Recipes are molecule/_shared/images/NAME.yml. An image is tagged intact-lab/NAME:<hash of its recipe> and
intact-lab/NAME:current; one that exists under its hash is not built again. The tags go to standard output,
progress to standard error.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import apt_sources
import recipes
from steps import StepFailed, run, say

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "molecule" / "_shared" / "images"
NOSYNC = ROOT / "molecule" / "_shared" / "nosync.json"
LOGS = ROOT / "build" / "log"
REPOSITORY = "intact-lab"
CMD = '["/lib/systemd/systemd"]'
# A machine behind a proxy that opens TLS trusts more than Debian does; pip in a guest must too.
CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
GUEST_CERTIFICATES = "/tmp/lab-certificates.crt"
PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

# Packages must not start daemons while an image is built.
POLICY_ON = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 0755 /usr/sbin/policy-rc.d"
# Each booted guest must get its own machine id and its own SSH host keys.
CLEAN_UP = (
    "rm -f /usr/sbin/policy-rc.d /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub && "
    "apt-get clean && rm -rf /var/lib/apt/lists/* && : >/etc/machine-id && rm -f /var/lib/dbus/machine-id"
)
# Made on first boot; without it sshd of an image whose keys were removed would not start.
HOST_KEYS_UNIT = """[Unit]
Description=Make this lab guest's own SSH host keys
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""
MERGED_USR = 'for d in bin sbin lib lib32 lib64 libx32; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done'


def docker_output(*args: str) -> str:
    """Standard output of a docker command; empty when it fails (an image that is not there)."""
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def need_docker() -> None:
    if not docker_output("version", "--format", "{{.Server.Version}}"):
        raise StepFailed("no Docker engine answers: run scripts/docker-engine, or start Docker and try again")


def memory_is_plenty() -> bool:
    """Whether an image can be put together in memory: we are root, and much more is free than it needs."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) > 8 * 1024 * 1024
    return False


# Also what is installed: packages of one source need each other's exact version.
WITHOUT_SECURITY = r"""
sed -i '/^deb .*-security /d' /etc/apt/sources.list
printf 'Package: *\nPin: release o=Debian\nPin-Priority: 1001\n' >/etc/apt/preferences.d/lab
apt-get -q -o APT::Update::Error-Mode=any update
apt-get -q -y -o Dpkg::Use-Pty=0 --allow-downgrades full-upgrade
rm /etc/apt/preferences.d/lab
"""


def unit_hook(root: str) -> str:
    """Shell text that installs the host-key unit below `root` ('' for the running system)."""
    folder = f"{root}/etc/systemd/system"
    return (
        f'mkdir -p "{folder}/multi-user.target.wants" && '
        f'printf %s {shlex.quote(HOST_KEYS_UNIT)} >"{folder}/lab-host-keys.service" && '
        f'ln -sf ../lab-host-keys.service "{folder}/multi-user.target.wants/lab-host-keys.service"'
    )


def build_from_debian(recipe: recipes.Recipe, tag: str, label: str, log: Path) -> None:
    """mmdebstrap | docker import, from the mirrors of this machine's apt configuration."""
    sources = apt_sources.source_lines(recipe.debian, apt_sources.configured_uris())
    if not sources:
        say(f"    {recipe.name}: no mirror in this machine's apt configuration has it, mmdebstrap's default is used")
    missing = [s for s in ("-updates", "-security") if sources and not any(recipe.debian + s in x for x in sources)]
    if missing:
        say(f"    {recipe.name}: the mirrors no longer carry {', '.join(recipe.debian + s for s in missing)}")
    argv = ["mmdebstrap", "--variant=minbase", "--include=" + ",".join(recipe.packages)]
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if keyring.is_file():
        argv.append(f"--keyring={keyring}")
    argv += ["--aptopt=" + option.rstrip(";") for option in apt_sources.shared_options()]
    if recipe.merged_usr:
        argv.append("--setup-hook=" + MERGED_USR)
    argv.append("--customize-hook=" + unit_hook("$1"))
    for command in recipe.run:
        argv.append(f'--customize-hook=chroot "$1" sh -ec {shlex.quote(command)}')
    argv.append('--customize-hook=chroot "$1" sh -ec ' + shlex.quote(CLEAN_UP))
    argv += [recipe.debian, "-", *sources]
    changes = []
    for change in ("CMD " + CMD, "ENV container=docker", f"LABEL intact.lab={label}"):
        changes += ["--change", change]
    pipe = f"{shlex.join(argv)} | {shlex.join(['docker', 'import', *changes, '-', tag])}"
    command_line = ["bash", "-o", "pipefail", "-c", pipe]
    if memory_is_plenty():
        # dpkg waits for the disk at every package; in memory that takes a third off. The mount ends with its namespace.
        prepare = 'd=$(mktemp -d) && trap \'umount "$d"; rmdir "$d"\' EXIT && mount -t tmpfs -o size=4g,mode=0755 tmpfs "$d" && export TMPDIR=$d'
        command_line = ["unshare", "--mount", "bash", "-o", "pipefail", "-c", f"{prepare} && {pipe}"]
    run(f"{recipe.name}: Debian {recipe.debian} from the archive", command_line, log)


def build_from_image(recipe: recipes.Recipe, parent_tag: str, tag: str, label: str, log: Path) -> None:
    """Install packages in a container of the parent image, then commit it."""
    name = f"intact-build-{recipe.name}-{os.getpid()}"

    env = ["-e", "DEBIAN_FRONTEND=noninteractive", "-e", "LC_ALL=C.UTF-8"]

    def inside(text: str, script: str) -> None:
        run(f"{recipe.name}: {text}", ["docker", "exec", *env, name, "sh", "-ec", script], log)

    run(
        f"{recipe.name}: container",
        ["docker", "run", "-d", "--name", name, "--security-opt", f"seccomp={NOSYNC}", "--label", "owner=intact-build"]
        + [parent_tag, "tail", "-f", "/dev/null"],
        log,
    )
    try:
        inside("package lists", POLICY_ON + " && apt-get -q -o APT::Update::Error-Mode=any update")
        if recipe.debconf:
            answers = "\n".join(recipe.debconf) + "\n"
            inside("debconf answers", f"printf %s {shlex.quote(answers)} | debconf-set-selections")
        if recipe.packages:
            options = [] if recipe.recommends else ["--no-install-recommends"]
            install = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", *options, "install", *recipe.packages]
            try:
                inside(f"{len(recipe.packages)} packages", shlex.join(install))
            except StepFailed:
                if not lost_files(log):
                    raise
                # an old release's archive is emptied bit by bit while its lists still name everything
                say(f"    {recipe.name}: the mirror no longer has files that its security lists name; built without that archive")
                inside("the release without its security archive", WITHOUT_SECURITY)
                inside(f"{len(recipe.packages)} packages", shlex.join(install))
        if recipe.pypi:
            env += pip_environment(name, log)
        for number, command in enumerate(recipe.run, 1):
            inside(f"command {number} of {len(recipe.run)}", command)
        inside("clean up", f"rm -f {GUEST_CERTIFICATES} && " + CLEAN_UP)
        changes = ["--change", "CMD " + CMD, "--change", f"LABEL intact.lab={label}"]
        run(f"{recipe.name}: commit", ["docker", "commit", *changes, name, tag], log)
    finally:
        docker_output("rm", "-f", "-v", name)


def lost_files(log: Path) -> bool:
    """Whether a build ended because the security archive's lists name files that the mirror does not have."""
    return bool(re.search(r"^E: Failed to fetch \S*-security/\S+  404 ", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE))


def certificates() -> str:
    """The file with the certificates that this machine trusts; empty when there is none."""
    named = [os.environ.get(name, "") for name in CERTIFICATES] + [SYSTEM_CERTIFICATES]
    return next((path for path in named if path and Path(path).is_file()), "")


def pip_environment(name: str, log: Path) -> list[str]:
    """docker exec options with which pip in a guest reaches the index that this machine uses."""
    options = [word for setting in PIP_SETTINGS if os.environ.get(setting) for word in ("-e", setting)]
    bundle = certificates()
    if bundle:
        run("certificates for pip", ["docker", "cp", "-L", bundle, f"{name}:{GUEST_CERTIFICATES}"], log)
        options += ["-e", f"PIP_CERT={GUEST_CERTIFICATES}"]
    return options


def ensure(recipe: recipes.Recipe, key: str, parent_tag: str, rebuild: bool) -> str:
    """Build one image unless it exists; its hash tag."""
    tag = f"{REPOSITORY}/{recipe.name}:{key}"
    start = time.monotonic()
    if not rebuild and docker_output("image", "inspect", "--format", "{{.Id}}", tag):
        verb = "is there"
    else:
        log = LOGS / f"image-{recipe.name}.log"
        log.unlink(missing_ok=True)
        say(f"==> image {recipe.name}: building {tag}")
        if recipe.debian:
            build_from_debian(recipe, tag, f"{recipe.name}-{key}", log)
        else:
            build_from_image(recipe, parent_tag, tag, f"{recipe.name}-{key}", log)
        verb = "built"
    if not docker_output("image", "inspect", "--format", "{{.Id}}", tag):
        raise StepFailed(f"image {tag} is not there although its build ended without an error")
    subprocess.run(["docker", "tag", tag, f"{REPOSITORY}/{recipe.name}:current"], check=True)
    say(f"==> image {recipe.name}: {verb} ({time.monotonic() - start:.0f} s)")
    return tag


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab-images", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes to build, with their parents")
    parser.add_argument("--list", action="store_true", help="show the recipes and their tags, build nothing")
    parser.add_argument("--rebuild", action="store_true", help="build the named images again (newer packages)")
    args = parser.parse_args()
    known = recipes.load(FOLDER)
    machine = apt_sources.configured_uris() + apt_sources.shared_options()
    order = recipes.build_order(known, known if args.list else args.names)
    keys: dict[str, str] = {}
    for recipe in order:
        keys[recipe.name] = recipes.key(recipe, keys.get(recipe.parent, ""), machine)
    if args.list:
        print(json.dumps({r.name: f"{REPOSITORY}/{r.name}:{keys[r.name]}" for r in order}, indent=2))
        return 0
    if not args.names:
        parser.error("give at least one NAME, or --list")
    need_docker()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "intact"
    cache.mkdir(parents=True, exist_ok=True)
    tags: dict[str, str] = {}
    with (cache / "lab-images.lock").open("w") as lock:
        # Two checkouts that need the same image build it once, one after the other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for recipe in order:
            rebuild = args.rebuild and recipe.name in args.names
            tags[recipe.name] = ensure(recipe, keys[recipe.name], tags.get(recipe.parent, ""), rebuild)
    for name in args.names:
        print(tags[name])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StepFailed, recipes.RecipeError) as problem:
        say(f"lab-images: {problem}")
        sys.exit(1)
