# Tell disks apart: by the names that udev gives to what they say of themselves, as what operators
# put in root device hints comes from udev (60-persistent-storage.rules, scsi_id and ata_id).

# Set $model, $vendor, $serial, $wwn, and $wwn_vendor_extension (what $wwn lacks of an identifier of
# 128 bits, without 0x) of a disk.
read_identity() {
    device=$sys/block/$1/device
    vendor=$(read_text "$device/vendor") model=$(read_text "$device/model")
    serial= wwn= wwn_vendor_extension=
    case $1 in
        nvme*) serial=$(read_text "$device/serial") wwn=$(read_text "$sys/block/$1/wwid") ;;
        vd*) serial=$(read_text "$sys/block/$1/serial") ;;
        sd*) if [ "$vendor" = ATA ] && [ -f "$device/vpd_pg89" ]; then
                read_ata_identity "$device/vpd_pg89"
            else
                read_scsi_identity
            fi ;;
    esac
    case $serial in *' '*) serial=$(printf %s "$serial" | tr -s ' ' _) ;; esac
}

# Print the first line of a file, without the blanks around it, if there is such a file. It ends on
# consoles, too, and a tenant may have written the disk's firmware.
read_text() {
    text=
    ! [ -f "$1" ] || read -r text <"$1"
    case $text in
        *[!\ -~]*) printf %s "$text" | one_line ;;
        *) printf %s "$text" ;;
    esac
}

# From the ATA identify data in a VPD page 89h (SAT-3 12.4.2): its words are little-endian, and the
# first byte of a text is the upper one of a word (ACS-3 7.12.7). The model is not cut at 16
# characters there.
read_ata_identity() {
    serial=$(ata_words "$1" 10 10 | one_line)
    model=$(ata_words "$1" 27 20 | one_line)
    # Word 87 says whether the words of the WWN count.
    support=$(ata_words "$1" 87 1 | hex)
    if [ $((0x${support:-0} & 0xc100)) = $((0x4100)) ]; then
        wwn=0x$(ata_words "$1" 108 4 | hex)
    fi
}

# Print words of the identify data, which begins at byte 60 of the page: the page, the first, and
# how many.
ata_words() {
    tail -c "+$((61 + 2 * $2))" "$1" | head -c "$((2 * $3))" | dd conv=swab 2>/dev/null
}

hex() {
    hexdump -v -e '/1 "%02x"'
}

# From the VPD pages 83h and, if that has nothing, 80h.
read_scsi_identity() {
    designator=$(find_designator "$device/vpd_pg83" | head -c 256 | one_line)
    serial=${designator#* }
    case $designator in
        '') serial=$(tail -c +5 "$device/vpd_pg80" 2>/dev/null | one_line) ;;
        naa\ 6*) wwn=0x$(printf %.16s "$serial") wwn_vendor_extension=${serial#????????????????} ;;
        naa\ *) wwn=0x$serial ;;
    esac
}

# Print the kind of the best of a page's designators of the logical unit, and what it says (SPC-4
# 7.8.6). Best is what scsi_id thinks so: NAA, first that of 128 bits; EUI-64; T10; the vendor's own.
find_designator() {
    hexdump -v -e '/1 "%u "' "$1" 2>/dev/null | awk '
        function text(first, last, format,    at, result) {
            for (at = first; at <= last; at++) result = result sprintf(format, $at + 0)
            return result
        }
        BEGIN { best = -1; kinds[3] = "naa"; kinds[2] = "eui"; kinds[1] = "t10"; kinds[0] = "own" }
        {
            for (at = 5; at + 3 < NF; at += 4 + $(at + 3)) {
                type = $(at + 1) % 16
                last = at + 3 + $(at + 3)
                if (int($(at + 1) / 16) % 4 || !(type in kinds) || last > NF) continue
                found = text(at + 4, last, $at % 16 == 1 ? "%02x" : "%c")
                rank = 3 * type
                if (type == 3) rank += found ~ /^6/ ? 2 : found ~ /^5/
                if (found == "" || rank <= best) continue
                best = rank
                answer = kinds[type] " " found
            }
            print answer
        }'
}
