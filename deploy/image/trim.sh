#!/bin/sh
# Leaves of a folder of GStreamer plugins only those that framefleet may plug (plugins.txt), and fails where one of them
# is not there.
#
#   deploy/image/trim.sh FOLDER
set -eu
folder=$1
list=$(dirname "$0")/plugins.txt

while read -r plugin; do
    [ -f "$folder/$plugin" ] || {
        echo "$folder has no $plugin, which $list names" >&2
        exit 1
    }
done < "$list"
for path in "$folder"/libgst*.so; do
    grep -qxF "$(basename "$path")" "$list" || rm "$path"
done
