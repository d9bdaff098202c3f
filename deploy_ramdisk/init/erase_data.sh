# Erase all data of a disk, in the best way that it offers.

chunk_bytes=$((256 << 20))
samples=64
sample_bytes=$((64 << 10))

# From what reaches all that the medium holds, spare blocks included, to what any disk can do. A way
# that is not offered says nothing in $reason, and one that failed says why; then comes the next.
erase_devices() {
    digest_samples >"$place.before"
    remarks=
    for way in sanitize_nvme format_nvme sanitize_ata erase_ata sanitize_scsi discard overwrite; do
        reason=
        if "$way" && flush_disk && verify "$way"; then
            method=$method$remarks
            return 0
        fi
        [ -z "$reason" ] || { remarks="$remarks; $reason"; say "$disk: $reason"; }
    done
    reason=${remarks#; }
    return 1
}

# Compare samples: zeros where we asked for them. What a disk has erased by itself may look
# otherwise (new keys turn old data into noise), but nothing may be as it was.
verify() {
    digest_samples >"$place.after"
    ! grep -qx unread "$place.after" || { reason="after $method, it cannot be read"; return 1; }
    verified="$samples samples of $((sample_bytes >> 10)) KiB, both ends included:"
    zeros=$(head -c "$sample_bytes" /dev/zero | md5sum)
    if ! grep -qvxF "$zeros" "$place.after"; then
        verified="$verified all zeros"
        return 0
    fi
    reason="after $method, not all samples are zeros"
    case $1 in discard | overwrite) return 1 ;; esac
    ! has_survivors || { reason="after $method, data was still there"; return 1; }
    reason= verified="$verified none as before"
}

# Is there a sample as before, which was not empty then?
has_survivors() {
    ones=$(head -c "$sample_bytes" /dev/zero | tr '\0' '\377' | md5sum)
    paste -d, "$place.before" "$place.after" |
        awk -F, -v zeros="$zeros" -v ones="$ones" '
            $1 == $2 && $1 != zeros && $1 != ones { found = 1 } END { exit !found }'
}

# Print a digest of each sample, evenly spread, from the first bytes of the disk to the last.
digest_samples() {
    step=$(((size - sample_bytes) / (samples - 1) / 4096 * 4096)) number=0
    while [ "$number" -lt $((samples - 1)) ]; do
        digest_sample $((number * step))
        number=$((number + 1))
    done
    digest_sample $((size - sample_bytes))
}

# Nothing is known of a sample that cannot be read: above all, not that it was erased.
digest_sample() {
    read_bytes "$1" "$sample_bytes" >"$place.sample"
    if [ "$(wc -c <"$place.sample")" = "$sample_bytes" ]; then
        md5sum <"$place.sample"
    else
        echo unread
    fi
}

# Discard, where the disk promises that zeros are read then (BLKDEV_ZERO_NOFALLBACK).
discard() {
    [ "$(cat "$block/queue/discard_max_bytes")" != 0 ] || return 1
    method="discard (unmap)"
    change_piece punch-hole 0 1048576 || return 1
    in_chunks punch-hole
}

overwrite() {
    method=overwriting
    in_chunks zero-range && method="overwriting with zeros"
}

# Have the kernel do something to all of the disk, piece by piece.
in_chunks() {
    offset=0
    while [ "$offset" -lt "$size" ]; do
        set_progress "$offset" "$method"
        length=$chunk_bytes
        [ $((offset + length)) -le "$size" ] || length=$((size - offset))
        change_piece "$1" "$offset" "$length" || {
            reason="$method failed at byte $offset: $(tail -n 1 "$place.log" | one_line)"
            return 1
        }
        offset=$((offset + length))
    done
}
