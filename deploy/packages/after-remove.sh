#!/bin/sh
# Deletes the configuration, the store and its keys only if an administrator purges it (dpkg). rpm
# has no such command, so an rpm keeps them.
set -e
if [ "${1:-}" = purge ]; then
    rm -rf /var/lib/countersign /etc/countersign
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
