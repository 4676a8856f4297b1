#!/usr/bin/env bash
# On the bare machine, with a network but not booted: the README's first step, and what stands in for the upstream.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/91yes
# Nothing runs yet: services start when the system boots.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -q update
git -c advice.detachedHead=false clone -q /srv/project.bundle /root/invoicegate
cd /root/invoicegate
bash -euo pipefail /srv/readme/command-1
# The README's packages end here: for the upstream, and to ask like a client.
apt-get install -q --no-install-recommends libevent-dev curl
make build/invoicegate-sandbox
rm /usr/sbin/policy-rc.d
# The package takes the next port when a program of the host, whose network this still is, has the usual one.
sed -i 's/^port = .*/port = 5432/' /etc/postgresql/15/main/postgresql.conf

cat >/etc/systemd/system/upstream.service <<'UNIT'
[Service]
ExecStart=/root/invoicegate/build/invoicegate-sandbox --listen 127.0.0.1:12111
UNIT
cat >/etc/systemd/system/the-rest.service <<'UNIT'
[Unit]
After=multi-user.target postgresql.service nginx.service
[Service]
Type=oneshot
WorkingDirectory=/root/invoicegate
ExecStart=/bin/bash /srv/install-rest.sh
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=240
[Install]
WantedBy=default.target
UNIT
ln -s /etc/systemd/system/the-rest.service /etc/systemd/system/multi-user.target.wants/
