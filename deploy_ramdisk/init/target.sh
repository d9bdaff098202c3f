# Offer the disk over iSCSI, with the kernel's target (LIO) through configfs.
# Attributes: Linux Documentation/target and drivers/target.

configfs=${configfs:-/sys/kernel/config}

# Offer the local disk, and tell the conductor.
offer_disk() {
    choose_disk
    export_disk
    call_back
    say "offering $disk ($disk_size bytes) as $iqn at $address:$portal_port;" \
        "waiting for the conductor"
}

# Offer $disk as LUN 1 of $iqn to $initiator alone, at $address.
export_disk() {
    [ -d "$configfs/target" ] || mount -t configfs configfs "$configfs"
    mkdir -p "$configfs/target/iscsi"
    store=$configfs/target/core/iblock_0/disk
    tpg=$configfs/target/iscsi/$iqn/tpgt_1
    { make_store && make_portal_group && admit_initiator && open_portal; } 2>"$run/target.log" ||
        fail "The disk could not be offered: $(tail -n 1 "$run/target.log")"
}

# Write a value to a file of configfs: by a builtin, so that a secret stands in no argv, and without
# a newline, which would become part of a name or secret.
put() {
    printf %s "$2" >"$1"
}

make_store() {
    mkdir -p "$store" &&
        put "$store/control" "udev_path=$disk" &&
        put "$store/enable" 1 &&
        set_discard
}

# Discard is offered when the disk has it. That discarded blocks read as zeros is said only of disks
# that promise it themselves: a conductor that trusted it wrongly would leave old data in an image.
set_discard() {
    queue=$sys/block/${disk##*/}/queue
    [ "$(cat "$queue/discard_max_bytes")" != 0 ] || return 0
    zeroes=0
    case $(cat "$sys/block/${disk##*/}"/device/scsi_disk/*/zeroing_mode 2>/dev/null) in
        *unmap) zeroes=1 ;;
    esac
    put "$store/attrib/emulate_tpu" 1 && put "$store/attrib/unmap_zeroes_data" "$zeroes"
}

make_portal_group() {
    mkdir -p "$tpg/lun/lun_1" &&
        ln -s "$store" "$tpg/lun/lun_1/disk" &&
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
    acl=$tpg/acls/$initiator
    mkdir -p "$acl/lun_1" &&
        ln -s "$tpg/lun/lun_1" "$acl/lun_1/disk" &&
        put "$acl/auth/userid" "$chap_username" &&
        put "$acl/auth/password" "$chap_secret"
}

open_portal() {
    case $address in *:*) host="[$address]" ;; *) host=$address ;; esac
    mkdir "$tpg/np/$host:$portal_port" && put "$tpg/enable" 1
}

# Stop offering the disk; sessions end.
withdraw_disk() {
    put "$tpg/enable" 0
}
