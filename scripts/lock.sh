#!/usr/bin/env bash
# Writes requirements.txt and requirements-dev.txt: the newest version of each package in the .in files and of all that
# these need, with the hash of every file of each (any Python, any machine). Public index only, and its name is not kept.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
for variable in PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL; do unset "$variable"; done
export PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND="make lock"

/usr/bin/python3 -m venv "$tools"
"$tools/bin/pip" -qq install --disable-pip-version-check pip-tools
for name in requirements requirements-dev; do
    "$tools/bin/pip-compile" --quiet --no-config --upgrade --generate-hashes --strip-extras --allow-unsafe \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o "$name.txt" "$name.in"
done
git --no-pager diff --stat -- requirements.txt requirements-dev.txt
