# Load drivers. Sourced.

sys=${sys:-/sys}
run=${run:-/run}

load_modules() {
    modprobe -a $(cat /deploy/modules-load) || fail "A kernel module could not be loaded"
    # Not empty: busybox's grep takes an empty list of patterns to match every line.
    echo none >"$run/modaliases"
}

# Load the drivers of the devices that the buses have found since the last call. A driver may bring
# a bus of its own (USB, SCSI), so this is called again and again while something is awaited.
load_drivers() {
    cat "$sys"/bus/*/devices/*/modalias 2>/dev/null | sort -u >"$run/modaliases.now"
    new=$(grep -vxFf "$run/modaliases" "$run/modaliases.now") || return 0
    cp "$run/modaliases.now" "$run/modaliases"
    modprobe -a -q $new 2>/dev/null
    return 0
}
