# Offer the disk over iSCSI, with the kernel's target (LIO) through configfs.
# Attributes: Linux Documentation/target and drivers/target.

configfs=${configfs:-/sys/kernel/config}

# Offer the local disks, tell the conductor, and wait until the target is of no use any more.
offer_disks() {
    find_local_disks
    await_target_modules
    export_disks
    call_back
    say "offering $disks as $iqn at $address:$portal_port; waiting for the conductor"
    await_disuse
    withdraw_disks
    fail "No conductor was logged in for $login_timeout s: the disks are withdrawn"
}

# Offer each of $disks as a LUN, from 1, of $iqn to $initiator alone, at $address. Sets
# $descriptions, the inside of a JSON list.
export_disks() {
    [ -d "$configfs/target" ] || mount -t configfs configfs "$configfs"
    mkdir -p "$configfs/target/iscsi"
    tpg=$configfs/target/iscsi/$iqn/tpgt_1 acl=$tpg/acls/$initiator
    {
        lock_discovery && make_portal_group && admit_initiator && add_disks && open_portal
    } 2>"$run/target.log" ||
        fail "The disks could not be offered: $(tail -n 1 "$run/target.log")"
}

# Write a value to a file of configfs: by a builtin, so that a secret stands in no argv, and without
# a newline, which would become part of a name or secret.
put() {
    printf %s "$2" >"$1"
}

# Nobody is told what targets there are who does not know the secret.
lock_discovery() {
    discovery=$configfs/target/iscsi/discovery_auth
    put "$discovery/userid" "$chap_username" &&
        put "$discovery/password" "$chap_secret" &&
        put "$discovery/enforce_discovery_auth" 1
}

add_disks() {
    lun=0
    for disk in $disks; do
        lun=$((lun + 1))
        add_disk || return 1
        descriptions="$descriptions${descriptions:+, }$(describe_disk "$disk" "$lun")"
        say "LUN $lun is /dev/$disk ($(disk_bytes "$disk") bytes)"
    done
}

# Add $disk to the target as $lun, for $initiator.
add_disk() {
    store=$configfs/target/core/iblock_0/$disk
    make_store &&
        mkdir -p "$tpg/lun/lun_$lun" "$acl/lun_$lun" &&
        ln -s "$store" "$tpg/lun/lun_$lun/disk" &&
        ln -s "$tpg/lun/lun_$lun" "$acl/lun_$lun/disk"
}

make_store() {
    mkdir -p "$store" &&
        put "$store/control" "udev_path=/dev/$disk" &&
        put "$store/enable" 1 &&
        set_discard
}

# Discard is offered when the disk has it. That discarded blocks read as zeros is said only of disks
# that promise it themselves: a conductor that trusted it wrongly would leave old data in an image.
set_discard() {
    queue=$sys/block/$disk/queue
    [ "$(cat "$queue/discard_max_bytes")" != 0 ] || return 0
    zeroes=0
    case $(cat "$sys/block/$disk"/device/scsi_disk/*/zeroing_mode 2>/dev/null) in
        *unmap) zeroes=1 ;;
    esac
    put "$store/attrib/emulate_tpu" 1 && put "$store/attrib/unmap_zeroes_data" "$zeroes"
}

make_portal_group() {
    mkdir -p "$tpg" &&
        put "$tpg/attrib/authentication" 1 &&
        put "$tpg/attrib/generate_node_acls" 0 &&
        put "$tpg/attrib/demo_mode_write_protect" 1 &&
        put "$tpg/attrib/demo_mode_discovery" 0 &&
        put "$tpg/param/AuthMethod" CHAP &&
        put "$tpg/param/HeaderDigest" CRC32C,None &&
        put "$tpg/param/DataDigest" CRC32C,None &&
        make_bursts_long
}

# LIO's defaults are 8 KiB packets, each answered: slow for a stream of writes.
make_bursts_long() {
    put "$tpg/param/MaxRecvDataSegmentLength" 262144 &&
        put "$tpg/param/FirstBurstLength" 262144 &&
        put "$tpg/param/MaxBurstLength" 1048576 &&
        put "$tpg/param/InitialR2T" No
}

admit_initiator() {
    mkdir -p "$acl" &&
        put "$acl/auth/userid" "$chap_username" &&
        put "$acl/auth/password" "$chap_secret"
}

open_portal() {
    case $address in *:*) host="[$address]" ;; *) host=$address ;; esac
    mkdir "$tpg/np/$host:$portal_port" && put "$tpg/enable" 1
}

# Wait until nobody has been logged in for $login_timeout seconds.
await_disuse() {
    read_uptime
    logins=0 deadline=$((now + login_timeout))
    while [ "$now" -lt "$deadline" ]; do
        sleep 1
        read_uptime
        ! was_used || deadline=$((now + login_timeout))
    done
}

# Has somebody logged in since the last call, or is somebody still? A failed login does not count.
was_used() {
    logins_before=$logins
    logins=$(cat "${tpg%/*}/fabric_statistics/iscsi_login_stats/accepts")
    [ "$logins" != "$logins_before" ] || grep -q LOGGED_IN "$acl/info"
}

# Stop offering the disks; sessions end.
withdraw_disks() {
    put "$tpg/enable" 0
}

# Stop what is still offered by a deploy that has ended, be it by a fault of ours: nobody would
# withdraw it any more.
withdraw_all() {
    for enabled in "$configfs"/target/iscsi/*/tpgt_1/enable; do
        [ "$(cat "$enabled" 2>/dev/null)" != 1 ] || put "$enabled" 0
    done
}
