#!/bin/sh
# What runs once, before the agent: mounts, devices, and an address for each network card.

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=0755 tmpfs /run
[ ! -d /sys/firmware/efi ] || mount -t efivarfs efivarfs /sys/firmware/efi/efivars

# It loads the drivers, and finds labels and serial numbers: the agent asks udev for them.
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle
# A USB device appears some time after the driver of its bus.
for _ in $(seq 300); do
    [ ! -e /dev/disk/by-label/ir-vfd-dev ] || break
    sleep 0.2
done

mkdir -m 0700 /etc/ipa-rescue-config
ip link set lo up
for card in /sys/class/net/e*; do
    ip link set "${card##*/}" up
    busybox udhcpc -q -f -n -t 20 -i "${card##*/}" -s /lab/dhcp-event.sh
done
