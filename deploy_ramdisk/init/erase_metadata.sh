# Erase what names and describes data: the ends of a disk, and of each partition in its table. There
# are partition tables and their copies, file systems, LVM, md, ZFS and LUKS (with its keys).

edge_bytes=$((16 << 20))
fallocate=${fallocate:-/usr/bin/fallocate}

erase_devices_metadata() {
    method="zeros on $((edge_bytes >> 20)) MiB at both ends of the disk and of each partition"
    list_edges >"$place.edges"
    while read -r start length; do
        set_progress 0 "zeros at both ends"
        write_zeros "$start" "$length" || return 1
    done <"$place.edges"
    flush_disk || return 1
    while read -r start length; do
        are_zeros "$start" "$length" || return 1
    done <"$place.edges"
    verified="all that was written was read back as zeros"
}

# Print start and length of each end, in bytes, for $disk.
list_edges() {
    print_edges 0 "$size"
    for partition in "$block/${block##*/}"*; do
        [ ! -f "$partition/partition" ] || print_edges \
            $(($(cat "$partition/start") * 512)) $(($(cat "$partition/size") * 512))
    done
}

# Print both ends of an extent, or all of it when it is small.
print_edges() {
    if [ "$2" -le $((2 * edge_bytes)) ]; then
        echo "$1 $2"
    else
        echo "$1 $edge_bytes"
        echo "$(($1 + $2 - edge_bytes)) $edge_bytes"
    fi
}

# Have the kernel write zeros, or have the disk do it by itself (BLKDEV_ZERO_NOUNMAP).
write_zeros() {
    change_piece zero-range "$1" "$2" && return 0
    reason="zeros could not be written at byte $1: $(tail -n 1 "$place.log" | one_line)"
    return 1
}

# Have all written, and nothing cached, so that what is read comes from the disk.
flush_disk() {
    { sync "$disk" && blockdev --flushbufs "$disk"; } 2>"$place.log" && return 0
    reason="its write cache could not be flushed: $(tail -n 1 "$place.log" | one_line)"
    return 1
}

# Are so many bytes from there zeros? An error of the disk ends the comparison early: no.
are_zeros() {
    read_bytes "$1" "$2" | cmp -s -n "$2" - /dev/zero && return 0
    reason="after zeros were written, something else was read in the $2 bytes from byte $1"
    return 1
}

read_bytes() {
    dd if="$disk" bs=1M iflag=skip_bytes,count_bytes skip="$1" count="$2" 2>/dev/null
}
