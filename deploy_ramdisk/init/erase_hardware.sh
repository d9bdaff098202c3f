# Have a disk erase itself, spare blocks included. Ends with 1 where that is not offered, and with a
# $reason where it is and failed.

# No disk takes longer, and none may keep a server for ever.
erase_seconds=${erase_seconds:-86400}
poll_seconds=${poll_seconds:-5}
# Where a disk was left locked in the middle of an erasure, the next one knows the password.
ata_password=ironic-ilo

# Run a program that talks to the disk.
command_disk() {
    timeout "$erase_seconds" "$@" >"$place.log" 2>&1 && return 0
    reason="$method failed: $(tail -n 1 "$place.log" | one_line)"
    return 1
}

# Call a function until it says that the disk is done (0) or has failed (1); 2 means not yet.
poll_disk() {
    read_uptime
    erase_deadline=$((now + erase_seconds))
    while [ "$now" -lt "$erase_deadline" ]; do
        sleep "$poll_seconds"
        "$1"
        case $? in
            0) return 0 ;;
            1) reason="$method failed: $(tail -n 1 "$place.log" | one_line)"; return 1 ;;
        esac
        read_uptime
    done
    reason="$method took more than $erase_seconds s"
    return 1
}

# NVMe: sanitize is for all namespaces of a controller (NVM Express 1.4, 5.24), so only where there
# is one.
sanitize_nvme() {
    read_nvme_controller && [ "$(count_namespaces)" = 1 ] || return 1
    case $(($(unsigned "$place.controller" 328 4) & 3)) in
        2 | 3) method="NVMe sanitize (block erase)" sanitize_action=2 ;;
        1) method="NVMe sanitize (crypto erase)" sanitize_action=4 ;;
        *) return 1 ;;
    esac
    set_progress 0 "$method"
    command_nvme 84 0 "$sanitize_action" && poll_disk poll_nvme
}

# The sanitize status log: how far it is of 65536, and the state of the last one (5.14.1.16.2).
poll_nvme() {
    command_nvme 02 0xffffffff 0x007f0081 512 "$place.status" || return 1
    case $(($(unsigned "$place.status" 2 2) & 7)) in
        1 | 4) return 0 ;;
        2) set_progress $((size / 65536 * $(unsigned "$place.status" 0 2))) "$method"; return 2 ;;
        *) echo "the controller says so" >"$place.log"; return 1 ;;
    esac
}

# Format with user data erase (5.23).
format_nvme() {
    read_nvme_controller && [ $(($(unsigned "$place.controller" 256 2) & 2)) != 0 ] || return 1
    method="NVMe format (user data erase)"
    set_progress 0 "$method"
    namespace=$(cat "$block/nsid")
    command_nvme 06 "$namespace" 0 4096 "$place.namespace" &&
        command_nvme 80 "$namespace" "$(same_format "$place.namespace")"
}

# Print what Format needs in command dword 10: the format that the namespace has (5.15.2.2: FLBAS at
# byte 26, DPS at 29), and user data erase.
same_format() {
    flbas=$(unsigned "$1" 26 1) protection=$(unsigned "$1" 29 1)
    echo $((flbas & 31 | (protection & 15) << 5 | 1 << 9 | (flbas >> 5 & 3) << 12))
}

# Ask the controller what it is (5.15.2.1); of NVMe disks alone.
read_nvme_controller() {
    case ${block##*/} in nvme*) ;; *) return 1 ;; esac
    method="NVMe Identify Controller"
    command_nvme 06 0 1 4096 "$place.controller"
}

# Send an admin command: opcode (hex), namespace, command dword 10, and how many bytes it answers to
# which file. The layout is that of the kernel's struct nvme_passthru_cmd; sg_raw puts the place and
# the length of its buffer for the numbers that end in fe (sg_raw(8), "NVME SUPPORT").
command_nvme() {
    buffer="00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    [ $# = 3 ] || buffer="fe ff ff ff ff ff ff ff 00 00 00 00 fe ff ff ff"
    zeros="00 00 00 00 00 00 00 00"
    command="$1 00 00 00 $(bytes_of "$2") $zeros $zeros $buffer $(bytes_of "$3") $zeros $zeros"
    command_disk sg_raw --cmdset=2 --timeout="$erase_seconds" ${4:+"--request=$4"} \
        ${5:+"--outfile=$5"} "$disk" $command 00 00 00 00
}

# Print 32 bits as bytes, little-endian.
bytes_of() {
    printf '%02x %02x %02x %02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) \
        $(($1 >> 24 & 255))
}

count_namespaces() {
    controller=$(readlink -f "$block/device")
    for namespace in "$sys"/block/nvme*; do
        [ "$(readlink -f "$namespace/device")" != "$controller" ] || echo
    done | wc -l
}

# Print a number of a file: where its bytes begin, and how many there are; little-endian.
unsigned() {
    od -An -v "-tu$3" "-j$2" "-N$3" "$1" | tr -d ' '
}

# ATA: by words of the identify data (ACS-3 7.12.7).
sanitize_ata() {
    is_ata || return 1
    offered=$(ata_word 59)
    [ $((offered & 0x1000)) != 0 ] || return 1
    case $((offered & 0xa000)) in
        $((0x8000)) | $((0xa000))) method="ATA sanitize (block erase)" command=block-erase ;;
        $((0x2000))) method="ATA sanitize (crypto scramble)" command=crypto-scramble ;;
        *) return 1 ;;
    esac
    set_progress 0 "$method"
    command_disk hdparm --yes-i-know-what-i-am-doing "--sanitize-$command" "$disk" &&
        poll_disk poll_ata
}

# hdparm prints the state by the standard's name (ACS-3 4.17.8.1), and a share of 65536 as percent.
poll_ata() {
    hdparm --sanitize-status "$disk" >"$place.log" 2>&1 || return 1
    case $(cat "$place.log") in
        *SD2*) percent=$(sed -n 's/.*(\([0-9]*\)%).*/\1/p' "$place.log")
            set_progress $((size / 100 * ${percent:-0})) "$method"
            return 2 ;;
        *SD0*'Completed Without Error'*) return 0 ;;
    esac
    return 1
}

# SECURITY ERASE UNIT. The BIOS of most servers freezes the security of its disks in POST.
erase_ata() {
    is_ata || return 1
    method="ATA secure erase" option=--security-erase
    security=$(ata_word 128)
    [ $((security & 0x20)) = 0 ] || method="ATA enhanced secure erase" option=$option-enhanced
    [ $((security & 1)) != 0 ] || return 1
    [ $((security & 8)) = 0 ] || { reason="$method is frozen by the BIOS"; return 1; }
    set_progress 0 "$method"
    # Enabled: an erasure was interrupted, or somebody else has set a password, which then fails.
    [ $((security & 2)) != 0 ] ||
        command_disk hdparm --user-master u --security-set-pass "$ata_password" "$disk" || return 1
    command_disk hdparm --user-master u "$option" "$ata_password" "$disk" && return 0
    hdparm --user-master u --security-disable "$ata_password" "$disk" >/dev/null 2>&1
    return 1
}

is_ata() {
    [ "$vendor" = ATA ] && [ -f "$block/device/vpd_pg89" ]
}

ata_word() {
    word=$(ata_words "$block/device/vpd_pg89" "$1" 1 | hex)
    echo $((0x${word:-0}))
}

# SCSI: sg_sanitize waits for the end. It ends with 9 or 5 where the disk does not know the command
# (sg3_utils(8), "EXIT STATUS").
sanitize_scsi() {
    case ${block##*/} in sd*) ;; *) return 1 ;; esac
    [ "$vendor" != ATA ] || return 1
    for kind in block crypto; do
        method="SCSI sanitize ($kind erase)"
        timeout "$erase_seconds" sg_sanitize "--$kind" --quick "$disk" >"$place.log" 2>&1
        case $? in
            0) return 0 ;;
            5 | 9) ;;
            *) reason="$method failed: $(tail -n 1 "$place.log" | one_line)"; return 1 ;;
        esac
    done
    return 1
}
