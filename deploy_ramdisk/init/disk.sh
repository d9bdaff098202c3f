# Find the disk to deploy to.

disk_seconds=${disk_seconds:-90}
# Disks turn up one by one; this long without a new one, all are there.
quiet_seconds=3

# Set $disk and $disk_size (bytes) to the only local disk.
choose_disk() {
    await_disks
    case $disks in
        '') fail "No local disk was found. Block devices: $(list_devices)" ;;
        *' '*) fail "There are several local disks, and one is needed: $(list_devices)" ;;
    esac
    # The conductor's partition table counts in sectors of this size.
    sector_size=$(cat "$sys/block/$disks/queue/logical_block_size")
    [ "$sector_size" = 512 ] || fail "The disk $disks has sectors of $sector_size bytes;" \
        "only 512 are supported yet"
    disk=/dev/$disks
    disk_size=$(disk_bytes "$disks")
    say "the disk is $disk ($disk_size bytes)"
}

# Set $disks to the names of all local disks, once no more turn up.
await_disks() {
    read_uptime
    deadline=$((now + disk_seconds))
    while [ "$now" -lt "$deadline" ]; do
        watch_devices
        disks=$(find_disks)
        read_uptime
        [ -z "$disks" ] || [ -f "$run/storage-loading" ] ||
            [ "$now" -lt $((quiet_since + quiet_seconds)) ] || return 0
        sleep 0.2
    done
}

# Print the names of local disks that can be written to, with blanks between.
find_disks() {
    for device in "$sys"/block/*; do
        ! is_local_disk "$device" || printf '%s\n' "${device##*/}"
    done | tr '\n' ' ' | sed 's/ $//'
}

is_local_disk() {
    case ${1##*/} in sd* | vd* | nvme*) ;; *) return 1 ;; esac
    # Virtual media, keys and card readers.
    ! is_usb "$1" || return 1
    # One path of several to an NVMe namespace.
    [ "$(cat "$1/hidden" 2>/dev/null)" != 1 ] || return 1
    [ "$(cat "$1/removable")" = 0 ] && [ "$(cat "$1/ro")" = 0 ] && [ "$(cat "$1/size")" != 0 ]
}

is_usb() {
    case $(readlink -f "$1") in */usb[0-9]*) return 0 ;; esac
    return 1
}

# The kernel counts in 512 bytes, whatever the sector size.
disk_bytes() {
    echo $(($(cat "$sys/block/$1/size") * 512))
}

# Print what is there, for people: name, size, and why one does not count.
list_devices() {
    for device in "$sys"/block/*; do
        name=${device##*/}
        case $name in '*' | loop* | ram*) continue ;; esac
        printf '%s (%s bytes' "$name" "$(disk_bytes "$name")"
        ! is_usb "$device" || printf ', USB'
        [ "$(cat "$device/ro")" = 0 ] || printf ', read-only'
        printf '), '
    done | sed 's/, $//' | grep . || echo none
}
