#!/bin/sh
# Stops the service if the package is removed, but not if it is upgraded. dpkg passes a word, rpm the
# number of versions that stay.
set -e
case ${1:-} in
remove | 0)
    if [ -d /run/systemd/system ]; then
        systemctl disable --now countersign.service
    fi
    ;;
esac
