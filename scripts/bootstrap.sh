#!/usr/bin/env bash
# Makes the checkout ready to run on Debian 12 or 13: Debian's own packages, then the virtual environment.
# Run again it does nothing (a tenth of a second). It starts and stops no system service.
#
#   scripts/bootstrap.sh            everything
#   scripts/bootstrap.sh venv       the virtual environment alone
#   scripts/bootstrap.sh engine     Debian's container engine, for `make container`
set -euo pipefail
cd "$(dirname "$0")/.."

# Kamailio embeds Debian's Python, so the environment is made with that one, whatever stands first in PATH.
readonly python=/usr/bin/python3
readonly venv=.venv
readonly needed=(
    kamailio kamailio-python3-modules kamailio-sqlite-modules kamailio-tls-modules
    mariadb-server-core mariadb-client-core
    sip-tester python3-venv tzdata ca-certificates procps netbase
)
readonly wanted=(kamailio-extra-modules) # taken where the release has them
readonly engine_needed=(docker.io docker-compose debootstrap)
readonly engine_wanted=(docker-cli docker-buildx)

say() { printf 'bootstrap: %s\n' "$*"; }
die() {
    printf 'bootstrap: %s\n' "$*" >&2
    exit 1
}

installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

policy_made=
remove_policy() { [[ -z $policy_made ]] || as_root rm -f /usr/sbin/policy-rc.d; }

# Debian starts a daemon when its package is installed; a policy of 101 keeps Kamailio's service down.
forbid_service_starts() {
    [[ ! -e /usr/sbin/policy-rc.d ]] || return 0
    trap remove_policy EXIT
    trap 'exit 130' INT TERM
    policy_made=1
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod 755 /usr/sbin/policy-rc.d
}

# install_packages NEEDED WANTED: the names of two lists.
install_packages() {
    local -n must=$1 may=$2
    local missing=() package
    for package in "${must[@]}"; do installed "$package" || missing+=("$package"); done
    if [[ ${#missing[@]} -eq 0 ]]; then return 0; fi
    command -v apt-get >/dev/null || die "this is not Debian; install by hand: ${missing[*]}"
    [[ $EUID -eq 0 ]] || command -v sudo >/dev/null ||
        die "packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
    say "apt-get update"
    as_root apt-get -qq update || die "apt-get update failed"
    for package in "${may[@]}"; do
        installed "$package" || ! apt-cache show "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    say "installing ${missing[*]}"
    forbid_service_starts
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends \
        -o Dpkg::Use-Pty=0 install "${missing[@]}" >/dev/null || die "could not install ${missing[*]}"
    if [[ -n $policy_made ]]; then
        remove_policy
        policy_made=
        trap - EXIT INT TERM
    fi
    disable_service kamailio kamailio.service
    disable_service docker.io docker.service docker.socket
}

# disable_service PACKAGE UNIT..: a package also enables its service for the next boot. One that was there before us is
# left as it is: `missing` is the list of what was just installed.
disable_service() {
    local package=$1
    shift
    if [[ " ${missing[*]} " == *" $package "* ]] && command -v systemctl >/dev/null; then
        as_root systemctl --quiet --no-reload disable "$@" 2>/dev/null || true
    fi
}

# The pins and the interpreter decide whether an environment is still the right one.
stamp() { cat requirements.txt requirements-dev.txt <("$python" --version) | sha256sum | cut -d' ' -f1; }

make_venv() {
    local now
    now=$(stamp)
    if [[ -x $venv/bin/python && -f $venv/.stamp && $(<"$venv/.stamp") == "$now" ]]; then return 0; fi
    if ! "$venv/bin/python" -c \
        "import sys; sys.exit(sys._base_executable != '$(readlink -f "$python")')" 2>/dev/null; then
        say "making $venv with $("$python" --version)"
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    say "installing the pinned Python packages"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input --require-hashes \
        --only-binary :all: -r requirements.txt -r requirements-dev.txt || die "pip could not install the pins"
    printf '%s\n' "$now" >"$venv/.stamp"
}

case ${1:-all} in
all)
    install_packages needed wanted
    make_venv
    ;;
venv) make_venv ;;
engine) install_packages engine_needed engine_wanted ;;
*) die "unknown part \"$1\"; usage: scripts/bootstrap.sh [venv|engine]" ;;
esac
