#!/bin/sh
# Called by udhcpc.
# shellcheck disable=SC2154 # udhcpc sets them

[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
ip route replace default via "${router%% *}"
for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
