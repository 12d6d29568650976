#!/usr/bin/env bash
# Makes the base image `debian:RELEASE-slim` out of Debian's packages, for a machine that reaches a Debian mirror and no
# container registry. Everybody else needs it not: `docker build` fetches an image of that name by itself.
#
#   docker/base-image.sh [bookworm|trixie]      as root; needs debootstrap and a running engine
#
# The mirror is the one that this machine's apt uses; the image keeps it as its own.
set -euo pipefail

release=${1:-bookworm}
readonly release image=debian:$release-slim

die() {
    printf 'base-image: %s\n' "$*" >&2
    exit 1
}

# Sources of apt that have Debian itself: SITE is where the release's index came from.
mirror() {
    apt-get indextargets --format '$(SITE) $(REPO_URI) $(ORIGIN) $(LABEL) $(COMPONENT)' |
        awk '$3 == "Debian" && $4 == "Debian" && $5 == "main" { print $2; exit }'
}

[[ $release =~ ^(bookworm|trixie)$ ]] || die "no release \"$release\"; bookworm or trixie"
[[ $EUID -eq 0 ]] || die "debootstrap needs root"
command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
docker info >/dev/null 2>&1 || die "no container engine answers (docker info)"
site=$(mirror)
[[ -n $site ]] || die "apt knows no Debian mirror: apt-get update"

folder=$(mktemp -d)
trap 'rm -rf --one-file-system "$folder"' EXIT
trap 'exit 130' INT TERM

debootstrap --variant=minbase "$release" "$folder/root" "${site%/}" >"$folder/log" 2>&1 || {
    tail -n 20 "$folder/log" >&2
    die "debootstrap failed"
}
rm -rf "$folder"/root/var/cache/apt/* "$folder"/root/var/lib/apt/lists/* "$folder"/root/usr/share/{doc,man,locale}/*
# A name, not the resolver of the machine that it was made on.
: >"$folder/root/etc/resolv.conf"
tar --numeric-owner -C "$folder/root" -c . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
printf 'base-image: %s is there\n' "$image"
