# Find the deploy network by DHCP, and by IPv6 autoconfiguration.

asked=

# Ask on every network card, all at once: neither its name nor its place says which one has the
# deploy network. The first that reaches the API is it.
try_dhcp() {
    for card in $(list_cards); do
        case " $asked " in *" $card "*) continue ;; esac
        asked="$asked $card"
        ip link set "$card" up
        say "asking for an address on $card ($(cat "$sys/class/net/$card/address"))"
        start_udhcpc "$card"
    done
    api_reason="no answer to DHCP; there is: $(describe_cards)"
    try_leases || try_autoconfiguration
}

# Try each lease alone: with one network at a time, routes and name servers cannot mix.
try_leases() {
    for lease in "$run"/dhcp/*.lease; do
        [ -f "$lease" ] || continue
        card=$(basename "$lease" .lease)
        : >/etc/resolv.conf
        use_lease "$lease" "$card"
        if reach_api; then
            drop_other_cards "$card"
            return 0
        fi
        note "the API is not reached through $card: $api_reason"
        ip -4 addr flush dev "$card"
    done
    return 1
}

# The kernel itself takes addresses and routes from IPv6 routers.
try_autoconfiguration() {
    ip -6 addr show scope global | grep -q inet6 && reach_api
}

drop_other_cards() {
    for other in $(list_cards); do
        [ "$other" != "$1" ] || continue
        kill "$(cat "$run/dhcp/$other.pid")"
        ip link set "$other" down
    done 2>/dev/null
}
