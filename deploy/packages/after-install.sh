#!/bin/sh
# Creates the user of the service. Restarts the service after an upgrade, if it was running; a first
# installation starts nothing.
set -e
if ! getent passwd countersign >/dev/null; then
    useradd --system --user-group --no-create-home --home-dir /var/lib/countersign \
        --shell /usr/sbin/nologin --comment Countersign countersign
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # The package is installed even if the service does not start with its configuration.
    systemctl try-restart countersign.service ||
        echo "countersign: the service did not restart; see: systemctl status countersign" >&2
fi
