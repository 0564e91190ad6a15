# Shared by the shell scripts: where things are, progress lines, logs, packages, Python.
# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
logs=$root/build/log
export DEBIAN_FRONTEND=noninteractive
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# step NAME LABEL COMMAND...: one line with the elapsed seconds; output in build/log/NAME.log, its end on failure.
step() {
  local name=$1 label=$2 start=$SECONDS code=0
  local log=$logs/$name.log
  shift 2
  mkdir -p "$logs"
  printf '==> %s ...\n' "$label" >&2
  "$@" >"$log" 2>&1 </dev/null || code=$?
  if [ "$code" -ne 0 ]; then
    printf '==> %s: failed with exit code %s after %s s; the end of %s:\n' "$label" "$code" $((SECONDS - start)) "$log" >&2
    tail -n 30 "$log" | sed 's/^/    /' >&2
    return "$code"
  fi
  printf '==> %s: done (%s s)\n' "$label" $((SECONDS - start)) >&2
}

# One at a time per checkout: 'make -j' or two terminals must not build the same thing twice.
lock() {
  mkdir -p "$root/build"
  if command -v flock >/dev/null; then
    exec 9>"$root/build/$1.lock"
    flock 9
  fi
}

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_install() {
  apt-get -q -o DPkg::Lock::Timeout=300 update &&
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
      install --no-install-recommends "$@"
}

# need_packages WHY PACKAGE...: install Debian packages that are missing, or say in one sentence what to install.
need_packages() {
  local why=$1 missing=() package
  shift
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "$why needs what Debian calls '$*': install it with this system's package manager and run this again"
  fi
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || die "$why needs packages: run 'sudo apt-get install ${missing[*]}' and run this again"
  step "apt-${missing[0]}" "installing ${missing[*]}" apt_install "${missing[@]}"
}
