# Tell people what happens. Sourced.

# The kernel's log reaches every console there is: VGA, iLO's virtual serial port and remote
# console. Level 3, as "quiet" hides what is less. (A file in the tests.)
console=${console:-/dev/kmsg}
failure=${failure:-/run/failure}

say() {
    printf '<3>ironic-ilo: %s\n' "$*" >>"$console"
    for port in $other_ports; do printf 'ironic-ilo: %s\r\n' "$*" >"$port"; done
}

# iLO's virtual serial port is COM1 or COM2, as the BIOS is set, and the kernel can log to one only.
# Set $other_ports to the serial ports that exist (type 0 is none) and that it does not log to.
other_ports=
find_other_ports() {
    for port in /sys/class/tty/ttyS[01]; do
        grep -q "${port##*/}" /sys/class/tty/console/active && continue
        [ "$(cat "$port/type")" != 0 ] || continue
        stty -F "/dev/${port##*/}" 115200 && other_ports="$other_ports /dev/${port##*/}"
    done
}

# Give up: the reason goes to the conductor, when it can be reached, and to the consoles.
fail() {
    printf '%s\n' "$*" >"$failure"
    report_error "$*"
    exit 1
}

# Set $now to the seconds since power on: what waits are measured in, as the clock may be set.
read_uptime() {
    read -r now _ </proc/uptime
    now=${now%.*}
}
