#!/usr/bin/env bash
# Makes the secrets that are not there yet, each 32 random bytes in hexadecimal in a file of its own, named as its setting.
# Shows none. Run again it changes nothing; a killed run leaves no half of one.
#
#   docker/secrets.sh FOLDER      FOLDER/node for proxy and drain, FOLDER/office for what only people use
#
# Files have mode 640. Their group is the image's own and has one other use: `migrate`, which is another user.
set -euo pipefail
umask 027

make_secret() {
    local folder=$1 name=$2
    if [[ -s $folder/$name ]]; then return 0; fi
    # Settings pass over hidden files (billing/settings.py).
    head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$folder/.$name.new"
    sync "$folder/.$name.new"
    mv "$folder/.$name.new" "$folder/$name"
    printf 'secrets: made %s\n' "$name"
}

folder=${1:?usage: secrets.sh FOLDER}
mkdir -p "$folder/node" "$folder/office"
for name in card_pin_key database.proxy_password; do make_secret "$folder/node" "$name"; done
for name in database.cashier_password database.admin_password; do make_secret "$folder/office" "$name"; done
