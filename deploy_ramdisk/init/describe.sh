# Describe disks to the conductor, with the keys of Ironic's root device hints.

# Print the description of a disk, which is a LUN of the target, as a JSON object.
describe_disk() {
    read_identity "$1"
    long_wwn=
    case $wwn in 0x*) long_wwn=$wwn$wwn_vendor_extension ;; esac
    printf '{"lun": %d, "name": "/dev/%s", "size": %s, ' "$2" "$1" "$(disk_bytes "$1")"
    printf '"sector_size": %d, ' "$(sector_bytes "$1")"
    printf '"model": "%s", ' "$(json_text "$model")"
    printf '"vendor": "%s", ' "$(json_text "$vendor")"
    printf '"serial": "%s", ' "$(json_text "$serial")"
    printf '"wwn": "%s", ' "$(json_text "$wwn")"
    printf '"wwn_with_extension": "%s", ' "$(json_text "$long_wwn")"
    printf '"wwn_vendor_extension": "%s", ' \
        "$(json_text "${wwn_vendor_extension:+0x$wwn_vendor_extension}")"
    printf '"rotational": %s, ' "$(rotational "$1")"
    printf '"hctl": "%s", "by_path": "%s"}' "$(scsi_address "$1")" "$(by_path "$1")"
}

sector_bytes() {
    cat "$sys/block/$1/queue/logical_block_size"
}

rotational() {
    case $(cat "$sys/block/$1/queue/rotational") in 0) echo false ;; *) echo true ;; esac
}

# Print host:channel:target:lun; nothing for what is no SCSI.
scsi_address() {
    for address_of in "$sys/block/$1"/device/scsi_device/*; do
        [ ! -e "$address_of" ] || printf %s "${address_of##*/}"
    done
}

# Print the name that udev's path_id would give a disk, which lasts from boot to boot.
by_path() {
    place=$(readlink -f "$sys/block/$1")
    # The last one: those before it are bridges.
    pci=$(echo "$place" |
        sed -nE 's|.*/([0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/.*|\1|p')
    [ -n "$pci" ] || return 0
    case $1 in
        vd*) unit= ;;
        nvme*) unit=-nvme-$(cat "$sys/block/$1/nsid") ;;
        *) unit=-$(scsi_path "$place" "$(scsi_address "$1")") ;;
    esac
    printf '/dev/disk/by-path/pci-%s%s' "$pci" "$unit"
}

# Print the part of a SCSI disk's path behind its controller, from its place in /sys and its address.
scsi_path() {
    lun=${2##*:} target=${2%:*} target=${target##*:} channel=${2#*:} channel=${channel%%:*}
    case $1 in
        */ata[0-9]*) printf ata-%s.%s "$(ata_port "$1")" "$target" ;;
        */end_device-*) sas_path "$1" "$lun" ;;
        *) printf scsi-%s:%s:%s:%s "$(local_host "$1" "${2%%:*}")" "$channel" "$target" "$lun" ;;
    esac
}

# Print the number of a port on its controller.
ata_port() {
    port=${1%%/host[0-9]*}
    cat "$port/ata_port/${port##*/}/port_no"
}

# Print the number of a host among those of its controller: the kernel counts all.
local_host() {
    first=$2
    for host in "${1%%/host[0-9]*}"/host[0-9]*; do
        [ "${host##*/host}" -ge "$first" ] || first=${host##*/host}
    done
    echo $(($2 - first))
}

# Print where a SAS disk is plugged in: a phy of the controller or of an expander; or, behind more
# phys than one, who it is.
sas_path() {
    end_device=${1%%/target[0-9]*} port=${end_device%/*} above=${port%/*}
    sas=$end_device/sas_device/${end_device##*/}
    case $(cat "$port/sas_port/${port##*/}/num_phys") in
        1) case ${above##*/} in
                expander-*) from=exp$(cat "$above/sas_device/${above##*/}/sas_address")- ;;
                *) from= ;;
            esac
            from=${from}phy$(cat "$sas/phy_identifier") ;;
        *) from=$(cat "$sas/sas_address") ;;
    esac
    printf sas-%s-lun-%s "$from" "$2"
}
