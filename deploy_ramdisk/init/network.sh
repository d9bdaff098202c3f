# Bring up the network, and find out which address reaches the API.

raised=
links_are_ours=no

# Raise the links of the network cards that have turned up, until the network is brought up: they
# take seconds to come up, in which the floppy is found.
raise_links() {
    [ "$links_are_ours" = no ] || return 0
    for card in $(list_cards); do
        case " $raised " in *" $card "*) continue ;; esac
        raised="$raised $card"
        ip link set "$card" up
    done
}

# Set $address to our address towards the API, or fail.
bring_up_network() {
    links_are_ours=yes
    prepare_http
    attempt=try_dhcp
    [ ! -f "$run/floppy/network.conf" ] || attempt=try_static
    read_uptime
    deadline=$((now + callback_timeout))
    until "$attempt"; do
        read_uptime
        [ "$now" -lt "$deadline" ] ||
            fail "The API at $api_url was not reached within $callback_timeout s: $api_reason"
        sleep 0.2
        watch_devices
    done
    say "our address is $address"
}

# Print the names of the network cards: they have a device, what is made of them has none.
list_cards() {
    for device in "$sys"/class/net/*; do
        [ ! -e "$device/device" ] || echo "${device##*/}"
    done
}

# Print the cards for people: name, address, and whether there is a link (not known while down).
describe_cards() {
    for card in $(list_cards); do
        case $(cat "$sys/class/net/$card/carrier" 2>/dev/null) in
            1) link=', link up' ;;
            0) link=', no link' ;;
            *) link= ;;
        esac
        printf '%s (%s%s), ' "$card" "$(cat "$sys/class/net/$card/address")" "$link"
    done | sed 's/, $//' | grep . || echo 'no network card'
}

# Take a lease, the lines that dhcp-event wrote, into use.
use_lease() {
    while read -r what value; do
        case $what in
            address) ip addr add "$value" dev "$2" ;;
            route) ip route append "${value%% *}" via "${value##* }" dev "$2" ;;
            dns) echo "nameserver $value" >>/etc/resolv.conf ;;
        esac
    done <"$1" 2>/dev/null
}

# Ask for a lease, for as long as this server is up: dhcp-event notes what is offered.
start_udhcpc() {
    mkdir -p "$run/dhcp"
    {
        await_carrier "$1"
        exec udhcpc -f -i "$1" -s /deploy/dhcp-event -t 5 -T 2 -A 2 -O staticroutes
    } >/dev/null 2>&1 &
    echo $! >"$run/dhcp/$1.pid"
}

# Wait for a link: a request that goes out before it is lost, and the next follows seconds later.
await_carrier() {
    while [ "$(cat "$sys/class/net/$1/carrier")" = 0 ]; do sleep 0.1; done
}
