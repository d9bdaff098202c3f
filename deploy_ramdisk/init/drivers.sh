# Get drivers from the deploy ISO. The ramdisk has those alone that reach virtual media; all others
# stand on the ISO, each packed by itself, so that a server reads its own and no more.

iso=$run/iso
iso_found=no
iso_seconds=${iso_seconds:-120}

# Wait for the ISO. From then on, drivers of devices that were seen before are to be had, too.
await_iso() {
    await_device mount_iso "$iso_seconds" "The deploy ISO was not found"
    # Storage drivers that were asked for: none are here, so it does not take long.
    while is_loading_storage; do sleep 0.1; done
    iso_found=yes
    forget_devices
}

# Virtual media are USB devices.
mount_iso() {
    mkdir -p "$iso"
    for device in "$sys"/block/sr*; do
        is_usb "$device" || continue
        mount -t iso9660 -o ro,nosuid,nodev,noexec "/dev/${device##*/}" "$iso" 2>/dev/null ||
            continue
        [ ! -d "$iso/drivers" ] || return 0
        umount "$iso"
    done
    return 1
}

# Load drivers, and what they depend on, by aliases of devices. For most devices, there is none.
load_aliases() {
    modprobe -D -a -q "$@" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p' | unpack_modules
    modprobe -a -q "$@" 2>/dev/null
}

# Unpack the modules whose files are named on standard input, unless they are there. All that
# modprobe knows of are on the ISO.
unpack_modules() {
    [ "$iso_found" = yes ] || return 0
    while read -r module; do
        [ -f "$module" ] || unpack_module && continue
        say "the driver ${module##*/} cannot be read from the deploy ISO"
        echo "${module##*/}" >>"$run/unread-drivers"
    done
}

unpack_module() {
    mkdir -p "${module%/*}"
    # Two may do this at once: a module is there when it is whole.
    unpacked=$(mktemp "$module.XXXXXX")
    xzcat "$iso/drivers/${module##*/}.xz" >"$unpacked" && mv "$unpacked" "$module" && return 0
    rm "$unpacked"
    return 1
}
