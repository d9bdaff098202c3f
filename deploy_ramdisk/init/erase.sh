# Erase all local disks, all at once; tell the conductor how far it is, and what came of it.
# (ironic_ilo/cleaning.py has the calls.) The action is the name of the function that erases a disk.

progress_seconds=${progress_seconds:-10}
# For one piece of a disk, of 256 MiB at the most: a slow disk needs minutes, one that hangs for ever.
piece_seconds=${piece_seconds:-1800}

erase_disks() {
    # hdparm and sg_raw; what busybox has as well, it finds first.
    PATH=$PATH:/usr/bin:/sbin
    find_local_disks
    refuse_unwritable
    mkdir -p "$run/erase"
    workers=
    for name in $disks; do
        place=$run/erase/$name
        # A disk that breaks may vanish.
        disk_bytes "$name" >"$place.size"
        set_progress 0 starting
        erase_disk "$name" &
        workers="$workers $name:$!"
    done
    watch_workers
    report_erasure
}

# A disk that cannot be written to keeps its data: it must not pass for erased. One without a size
# is not ready, or has a format that the kernel does not know.
refuse_unwritable() {
    kept=
    for device in "$sys"/block/*; do
        case ${device##*/} in sd* | vd* | nvme*) ;; *) continue ;; esac
        ! is_usb "$device" && [ "$(cat "$device/removable")" = 0 ] &&
            [ "$(cat "$device/hidden" 2>/dev/null)" != 1 ] || continue
        [ "$(cat "$device/ro")" = 0 ] || kept="$kept, /dev/${device##*/} is write-protected"
        [ "$(cat "$device/size")" != 0 ] || kept="$kept, /dev/${device##*/} has no size"
    done
    [ -z "$kept" ] || fail "Not erased, nor any other disk: ${kept#, }"
}

# Erase one disk, in a process of its own. What came of it is in a file: a JSON object, or a reason.
erase_disk() {
    disk=/dev/$1 place=$run/erase/$1 size=$(cat "$run/erase/$1.size")
    block=$sys/block/$1 method= verified= reason=
    read_identity "$1"
    if "$action" && reread_partitions; then
        set_progress "$size" "$method"
        describe_erasure >"$place.erased"
    else
        describe_failure "$reason" >"$place.failed"
    fi
}

describe_failure() {
    printf '%s (serial %s): %s\n' "$disk" "${serial:-unknown}" "$1"
}

# Have the kernel change a piece of $disk: which way, offset and length. By the path of the program,
# as busybox's own cannot. A process whose disk hangs cannot be ended: so the worker leaves word of
# when that is so.
change_piece() {
    read_uptime
    late=$(describe_failure "it hangs: nothing came of $method at byte $2 within $piece_seconds s")
    echo "$((now + piece_seconds)) $late" >"$place.due"
    changed=yes
    "$fallocate" "--$1" --offset "$2" --length "$3" "$disk" 2>"$place.log" || changed=no
    rm "$place.due"
    [ "$changed" = yes ]
}

describe_erasure() {
    printf '{"name": "%s", "serial": "%s", "size": %s, "method": "%s", "verified": "%s"}' \
        "$disk" "$(json_text "$serial")" "$size" "$(json_text "$method")" \
        "$(json_text "$verified")"
}

# Note for the conductor how many bytes are done, and by what.
set_progress() {
    echo "$1 $2" >"$place.new"
    mv "$place.new" "$place.progress"
}

# Have the kernel read the partition table again, which must be gone.
reread_partitions() {
    reason="its partition table could not be read again"
    blockdev --rereadpt "$disk" || return 1
    for partition in "$block/${block##*/}"*/partition; do
        [ ! -f "$partition" ] || { reason="it still has partitions"; return 1; }
    done
}

# Wait for the workers; tell the conductor now and then.
watch_workers() {
    read_uptime
    told_at=$((now - progress_seconds)) told_bytes=0
    while [ -n "$workers" ]; do
        read_uptime
        [ $((now - told_at)) -lt "$progress_seconds" ] || tell_progress
        sleep 0.5
        workers=$(running_workers)
    done
}

# Print the workers that have not ended yet, but for those whose disks hang.
running_workers() {
    for worker in $workers; do
        ! kill -0 "${worker#*:}" 2>/dev/null || is_late "$run/erase/${worker%:*}" ||
            printf '%s ' "$worker"
    done
}

is_late() {
    read -r due late 2>/dev/null <"$1.due" && [ "$now" -ge "$due" ] && echo "$late" >"$1.failed"
}

# One call, of which nothing depends: the next one comes soon.
tell_progress() {
    told="\"progress\": $(describe_progress)" told_as=start
    "${callback}_body" "" >"$run/body"
    post || note "the conductor does not take the progress: $callback_reason"
    read_uptime
    told_at=$now told_bytes=$(sum_progress)
}

# Print the bytes done on all disks.
sum_progress() {
    sum "$run"/erase/*.progress
}

# Print the sum of the numbers that begin the lines of files.
sum() {
    awk '{ sum += $1 } END { printf "%.0f", sum }' "$@"
}

describe_progress() {
    done_bytes=$(sum_progress) total=$(sum "$run"/erase/*.size) separator=
    printf '{"percent": %d, "bytes_done": %s, "bytes_total": %s, "bytes_per_second": %d, ' \
        $((done_bytes * 100 / total)) "$done_bytes" "$total" "$(rate "$done_bytes")"
    printf '"disks": ['
    for name in $disks; do
        read -r bytes how <"$run/erase/$name.progress"
        read -r size <"$run/erase/$name.size"
        printf '%s{"name": "/dev/%s", "method": "%s", "percent": %d}' \
            "$separator" "$name" "$(json_text "$how")" $((bytes * 100 / size))
        separator=', '
    done
    printf ']}'
}

# Print the bytes per second since the last call. A disk may begin anew, by another method.
rate() {
    [ "$1" -gt "$told_bytes" ] && [ "$now" -gt "$told_at" ] || { echo 0; return; }
    echo $((($1 - told_bytes) / (now - told_at)))
}

# Tell the conductor what was erased, or which disks were not.
report_erasure() {
    told= told_as= failures= erased=
    for name in $disks; do
        place=$run/erase/$name
        if [ -s "$place.erased" ]; then
            erased="$erased${erased:+, }$(cat "$place.erased")"
        else
            failures="$failures${failures:+; }$(cat "$place.failed" 2>/dev/null ||
                echo "/dev/$name: the ramdisk failed")"
        fi
    done
    [ -z "$failures" ] || fail "Not erased: $failures"
    told="\"erased\": [$erased]"
    post_callback "" || { address=; fail "$callback_reason"; }
    say "erased: $erased"
}
