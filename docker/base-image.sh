#!/usr/bin/env bash
# Makes the base image `debian:RELEASE-slim` out of Debian's packages, for a machine that reaches a Debian mirror and no
# container registry. Nobody else needs it: `docker build` fetches an image of that name by itself.
#
#   docker/base-image.sh [bookworm|trixie]      as root; needs debootstrap and a running engine
#
# The mirrors are those that this machine's apt uses; the image, which stays on this machine, keeps them as its own.
set -euo pipefail

release=${1:-bookworm}
readonly release image=debian:$release-slim

die() {
    printf 'base-image: %s\n' "$*" >&2
    exit 1
}

# mirror LABEL: where the main section of Debian, or of Debian-Security, came from.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL) $(COMPONENT)' |
        awk -v label="$1" '$2 == "Debian" && $3 == label && $4 == "main" { print $1; exit }'
}

[[ $release =~ ^(bookworm|trixie)$ ]] || die "no release \"$release\"; bookworm or trixie"
[[ $EUID -eq 0 ]] || die "debootstrap needs root"
command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
docker info >/dev/null 2>&1 || die "no container engine answers (docker info)"
main=$(mirror Debian)
security=$(mirror Debian-Security)
[[ -n $main ]] || die "apt knows no Debian mirror: apt-get update"

folder=$(mktemp -d)
trap 'rm -rf --one-file-system "$folder"' EXIT
trap 'exit 130' INT TERM
root=$folder/root

debootstrap --variant=minbase "$release" "$root" "$main" >"$folder/log" 2>&1 || {
    tail -n 20 "$folder/log" >&2
    die "debootstrap failed"
}
{
    printf 'deb %s %s main\n' "$main" "$release" "$main" "$release-updates"
    [[ -z $security ]] || printf 'deb %s %s-security main\n' "$security" "$release"
} >"$root/etc/apt/sources.list"
# Like the image of that name: no daemon is started by its package.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
: >"$root/etc/resolv.conf"
tar --numeric-owner -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
printf 'base-image: %s is there\n' "$image"
