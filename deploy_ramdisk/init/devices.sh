# Load drivers, and notice what they find.

known_disks=
quiet_since=0

load_modules() {
    modprobe -a $(cat /deploy/modules-load) || fail "A kernel module could not be loaded"
    forget_devices
    # The target is needed last: its modules load while this waits for media and network.
    modprobe -a $(cat /deploy/modules-target) 2>"$run/target-modules.log" &
    loading_target=$!
}

await_target_modules() {
    wait "$loading_target" || fail "A kernel module of the iSCSI target could not be loaded:" \
        "$(tail -n 1 "$run/target-modules.log")"
}

# Let all devices be new again.
forget_devices() {
    # Not empty: busybox's grep takes an empty list of patterns to match every line.
    echo none >"$run/modaliases"
}

# Wait until a command finds what a driver may still bring: the command, the seconds it may take, and
# what to say when they are over.
await_device() {
    seconds=$2
    read_uptime
    deadline=$((now + seconds))
    until watch_devices; "$1"; do
        read_uptime
        [ "$now" -lt "$deadline" ] || fail "$3 within $seconds s. Is virtual media still" \
            "connected? Block devices: $(list_devices)"
        sleep 0.1
    done
}

# Load the drivers of the devices that the buses have found since the last call. A driver may bring
# a bus of its own (USB, SCSI), so every wait calls this.
watch_devices() {
    cat "$sys"/bus/*/devices/*/modalias 2>/dev/null | sort -u >"$run/modaliases.now"
    if new=$(grep -vxFf "$run/modaliases" "$run/modaliases.now"); then
        mv "$run/modaliases.now" "$run/modaliases"
        load_drivers
    fi
    raise_links
    note_disks
}

# Storage controllers (PCI base class 01) may take a minute to find their disks: meanwhile, the
# floppy and the network can be found.
load_drivers() {
    storage=$(printf '%s\n' $new | grep '^pci:.*bc01sc')
    others=$(printf '%s\n' $new | grep -v '^pci:.*bc01sc')
    if [ -n "$storage" ]; then
        # Controllers behind a controller (VMD) come while those before them are still busy.
        loading=$(mktemp "$run/storage-loading.XXXXXX")
        { load_aliases $storage; rm "$loading"; } &
    fi
    [ -z "$others" ] || load_aliases $others
}

# Is a driver still looking for disks?
is_loading_storage() {
    set -- "$run"/storage-loading.*
    [ -f "$1" ]
}

# Set $quiet_since to when the last disk turned up, or may have.
note_disks() {
    set -- "$sys"/block/*
    [ "$*" != "$known_disks" ] || is_loading_storage || return 0
    known_disks=$*
    read_uptime
    quiet_since=$now
}
