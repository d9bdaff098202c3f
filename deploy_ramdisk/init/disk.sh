# Find the local disks.

disk_seconds=${disk_seconds:-90}
# Disks turn up one by one; this long without a new one, all are there.
quiet_seconds=3

# Set $disks to the names of the local disks, with blanks between; there is one at least.
find_local_disks() {
    await_disks
    # What is missing would be neither erased nor chosen to deploy to.
    [ ! -f "$run/unread-drivers" ] ||
        fail "Drivers could not be read from the deploy ISO: $(sort -u "$run/unread-drivers" |
            one_line). Is virtual media still connected?"
    ! is_loading_storage ||
        fail "A storage driver was still looking for disks after $disk_seconds s." \
            "Block devices: $(list_devices)"
    [ -n "$disks" ] || fail "No local disk was found. Block devices: $(list_devices)"
    case $disks in *' '*) drop_second_paths ;; esac
}

# Set $disks to the names of all local disks, once no more turn up.
await_disks() {
    read_uptime
    deadline=$((now + disk_seconds))
    while [ "$now" -lt "$deadline" ]; do
        watch_devices
        disks=$(find_disks)
        read_uptime
        [ -z "$disks" ] || is_loading_storage ||
            [ "$now" -lt $((quiet_since + quiet_seconds)) ] || return 0
        sleep 0.2
    done
}

# Keep one name of each disk that is reached through two controllers. Cheap disks are known to share
# a WWN; they have serial numbers of their own, and each must be erased.
drop_second_paths() {
    seen=' ' kept=
    for name in $disks; do
        read_identity "$name"
        case $wwn in 0x* | eui.* | uuid.*) unique=$wwn$wwn_vendor_extension,$serial ;; *) unique= ;; esac
        case $seen in *" ${unique:-none} "*) say "$name is another path to a disk"; continue ;; esac
        seen="$seen$unique " kept="$kept $name"
    done
    disks=${kept# }
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
