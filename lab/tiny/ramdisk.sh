#!/bin/busybox sh
# shellcheck shell=dash
# The first program of a tiny instance's ramdisk: mounts the root file system that the kernel command
# line names, as Debian's ramdisk does, and runs the system in there.

/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
# shellcheck disable=SC2046 # one word for each module
modprobe -a $(cat /modules) 2>/dev/null
root=$(sed -n 's/.*root=\([^ ]*\).*/\1/p' /proc/cmdline)
for _ in $(seq 120); do
    device=$(findfs "$root" 2>/dev/null) && break
    sleep 0.5
done
mount -t ext4 -o ro "$device" /root || echo "tiny: cannot mount $root" >/dev/ttyS0
umount /proc
mount --move /dev /root/dev
exec switch_root /root /sbin/init
