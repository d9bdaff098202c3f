# Find and read the floppy that the conductor attached.

floppy_label=ir-vfd-dev
floppy_seconds=${floppy_seconds:-120}

# Copy the floppy's files to $run/floppy, and let go of it.
read_floppy() {
    await_device find_floppy "$floppy_seconds" "No floppy labelled $floppy_label was found"
    say "parameters are on ${floppy##*/}"
    mkdir -p "$run/mnt" "$run/floppy"
    mount -t vfat -o ro,nosuid,nodev,noexec "$floppy" "$run/mnt" ||
        fail "The floppy ${floppy##*/} cannot be mounted"
    for name in parameters.txt network.conf callback_ca.pem token; do
        [ ! -f "$run/mnt/$name" ] || cp "$run/mnt/$name" "$run/floppy/$name"
    done
    umount "$run/mnt"
    [ -f "$run/floppy/parameters.txt" ] || fail "The floppy has no parameters.txt"
}

# Set $floppy. Only USB devices count, as virtual media are: what a former tenant left on the local
# disk under this label must not give us parameters.
find_floppy() {
    for device in "$sys"/block/sd*; do
        is_usb "$device" || continue
        floppy=/dev/${device##*/}
        ! has_label "$floppy" || return 0
    done
    return 1
}

# The label stands in the boot sector: at 43 in FAT12 and FAT16, at 71 in FAT32, padded with blanks.
has_label() {
    for offset in 43 71; do
        label=$(dd if="$1" bs=512 count=1 2>/dev/null | tail -c +$((offset + 1)) | head -c 11)
        [ "${label%% *}" != "$floppy_label" ] || return 0
    done
    return 1
}
