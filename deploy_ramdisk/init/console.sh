# Tell people what happens. Sourced, as all files of this directory but init and dhcp-event.

run=${run:-/run}
sys=${sys:-/sys}
# The kernel's log reaches VGA, iLO's remote console and one serial port. (A file in tests.)
console=${console:-/dev/kmsg}
other_ports=
noted=

# Level 3, as "quiet" on the kernel's command line hides what is less.
say() {
    printf '<3>ironic-ilo: %s\n' "$*" >>"$console"
    for port in $other_ports; do
        printf 'ironic-ilo: %s\r\n' "$*" >"$port"
    done
}

# Say it unless it was the last thing noted: for what is tried again and again.
note() {
    [ "$*" = "$noted" ] || say "$*"
    noted=$*
}

# Give up: the reason goes to the conductor, when it can be reached, and to the consoles.
fail() {
    printf '%s\n' "$*" >"$run/failure"
    report_error "$*"
    exit 1
}

# Set $other_ports to the serial ports that exist (type 0 is none) and that the kernel does not log
# to: iLO's virtual serial port is COM1 or COM2, as the BIOS is set, and the kernel takes only one.
find_other_ports() {
    for port in "$sys"/class/tty/ttyS[01]; do
        [ "$(cat "$port/type")" != 0 ] || continue
        ! grep -qw "${port##*/}" "$sys/class/tty/console/active" || continue
        stty -F "/dev/${port##*/}" 115200 && other_ports="$other_ports /dev/${port##*/}"
    done
}

# Set $now to the seconds since power on: what waits are measured in, as the clock may be set.
read_uptime() {
    read -r now _ </proc/uptime
    now=${now%.*}
}
