#!/usr/bin/env bash
# Becomes MariaDB; makes its data directory first when there is none. The administrator is this container's own user, over
# the socket: there is no administrator's password to lose.
set -euo pipefail
readonly place=/var/lib/mysql

mkdir -p "$place/tmp"
rm -rf "$place"/tmp/*
if [[ ! -d $place/data ]]; then
    rm -rf "$place/new" # a killed first start
    mariadb-install-db --no-defaults --datadir="$place/new" --tmpdir="$place/tmp" --user=mysql --skip-test-db \
        --skip-name-resolve --auth-root-authentication-method=socket --auth-root-socket-user=mysql >"$place/tmp/log" 2>&1 || {
        cat "$place/tmp/log" >&2
        exit 1
    }
    mv "$place/new" "$place/data"
fi
exec mariadbd --defaults-file=/etc/mysql/meterline.cnf
