#!/bin/busybox sh
# shellcheck shell=dash
# The system of a tiny instance: looks at its machine and its disk, says on the serial console what
# it has found, in one line of JSON, and asks for a login. lab/tiny_instance.py tells what it says.

PATH=/bin
efi=/sys/firmware/efi
secure_boot_variable=$efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c

firmware() {
    if [ -d $efi ]; then printf '"uefi"'; else printf '"bios"'; fi
}

# Four bytes of attributes, then the value.
secure_boot() {
    mount -t efivarfs -o ro efivarfs $efi/efivars 2>/dev/null
    if [ "$(tail -c 1 $secure_boot_variable 2>/dev/null | xxd -p)" = 01 ]; then
        printf true
    else
        printf false
    fi
}

partitions() {
    separator=
    for partition in /sys/class/block/*/partition; do
        directory=${partition%/*}
        printf '%s"%s": %d' "$separator" "${directory##*/}" $(($(cat "$directory/size") * 512))
        separator=', '
    done
}

root() {
    device=$(awk '$2 == "/" {print $1}' /proc/self/mounts)
    printf '"%s"' "${device##*/}"
}

# mount_labelled LABEL TYPE...: mounts it at /mnt; sets $device and $type.
mount_labelled() {
    device=$(findfs "LABEL=$1" 2>/dev/null) || return
    shift
    for type; do
        mount -t "$type" "$device" /mnt 2>/dev/null && return
    done
}

swap() {
    if device=$(findfs LABEL=swap1 2>/dev/null) && swapon "$device"; then
        kib=$(tail -n 1 /proc/swaps | awk '{print $3}')
        printf '{"device": "%s", "size": %d}' "${device##*/}" $((kib * 1024))
    else
        printf null
    fi
}

ephemeral() {
    if mount_labelled ephemeral0 ext4 xfs; then
        echo boot >> /mnt/boots
        boots=$(wc -l < /mnt/boots)
        umount /mnt
        printf '{"device": "%s", "type": "%s", "boots": %d}' "${device##*/}" "$type" "$boots"
    else
        printf null
    fi
}

config_drive() {
    if mount_labelled config-2 iso9660 vfat; then
        printf '{"device": "%s", "type": "%s", "files": {' "${device##*/}" "$type"
        contents
        printf '}}'
        umount /mnt
    else
        printf null
    fi
}

contents() {
    separator=
    find /mnt -type f | while read -r file; do
        printf '%s"%s": "%s"' "$separator" "${file#/mnt/}" "$(base64 -w 0 "$file")"
        separator=', '
    done
}

esp() {
    if mount_labelled efi-part vfat; then
        umount /mnt
        printf '"%s"' "${device##*/}"
    else
        printf null
    fi
}

report() {
    printf '{"firmware": %s, ' "$(firmware)"
    printf '"secure_boot": %s, ' "$(secure_boot)"
    printf '"partitions": {%s}, ' "$(partitions)"
    printf '"root": %s, ' "$(root)"
    printf '"swap": %s, ' "$(swap)"
    printf '"ephemeral": %s, ' "$(ephemeral)"
    printf '"config_drive": %s, ' "$(config_drive)"
    printf '"esp": %s}' "$(esp)"
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
# The kernel must not speak in between.
echo 1 > /proc/sys/kernel/printk
printf '\ntiny: %s\n' "$(report)" > /dev/ttyS0
sync
while :; do
    printf '\ntiny login: ' > /dev/ttyS0
    read -r _ < /dev/ttyS0
done
