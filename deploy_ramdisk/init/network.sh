# Bring up the network and find out which address reaches the API. Sourced.

# Set $address to our address towards the API, or fail.
bring_up_network() {
    read_uptime
    deadline=$((now + callback_timeout))
    start_dhcp
    until try_leases; do
        read_uptime
        [ "$now" -lt "$deadline" ] ||
            fail "The API $api_url was not reached within $callback_timeout s: ${api_reason:-no answer to DHCP}"
        sleep 0.5
        load_drivers
        start_dhcp
    done
    say "our address is $address ($interface)"
}

# Ask for a lease on every network card, all at once: neither name nor order says which one has the
# deploy network.
start_dhcp() {
    for device in "$sys"/class/net/*; do
        interface=${device##*/}
        [ -e "$device/device" ] && [ ! -e "$run/dhcp/$interface" ] || continue
        mkdir -p "$run/dhcp" && : >"$run/dhcp/$interface"
        ip link set "$interface" up
        say "asking for an address on $interface ($(cat "$device/address"))"
        udhcpc -f -i "$interface" -s /deploy/dhcp-event -t 5 -T 2 -A 2 \
            -O staticroutes -p "$run/dhcp/$interface.pid" >/dev/null 2>&1 &
    done
}

# Try each lease alone: with one network at a time, routes and name servers cannot mix.
try_leases() {
    for lease in "$run"/dhcp/*.lease; do
        [ -f "$lease" ] || continue
        interface=$(basename "$lease" .lease)
        use_lease "$lease"
        if reach_api; then
            drop_other_interfaces
            return 0
        fi
        say "the API is not reached through $interface: $api_reason"
        ip addr flush dev "$interface"
    done
    return 1
}

# A lease is the lines that dhcp-event wrote.
use_lease() {
    : >/etc/resolv.conf
    while read -r what value; do
        case $what in
            address) ip addr add "$value" dev "$interface" ;;
            router) ip route add default via "$value" dev "$interface" ;;
            dns) echo "nameserver $value" >>/etc/resolv.conf ;;
        esac
    done <"$1" 2>/dev/null
}

drop_other_interfaces() {
    for pid_file in "$run"/dhcp/*.pid; do
        other=$(basename "$pid_file" .pid)
        [ "$other" != "$interface" ] || continue
        kill "$(cat "$pid_file")"
        ip link set "$other" down
    done
}
