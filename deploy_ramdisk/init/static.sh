# Bring up the network that the conductor described in network.conf (deploy_ramdisk/network.py has
# the format). Link number N becomes the interface "linkN".

configured=no
ipv6=${ipv6:-/proc/sys/net/ipv6/conf}

try_static() {
    conf=$run/floppy/network.conf
    if [ "$configured" = no ]; then
        lower_links
        find_links || return 1
        configure_links
        configured=yes
    fi
    for lease in "$run"/dhcp/*.lease; do
        [ ! -f "$lease" ] || use_lease "$lease" "$(basename "$lease" .lease)"
    done
    reach_api || { note "the API is not reached: $api_reason"; return 1; }
}

# Undo what raise_links did: a link that is up cannot be renamed, and may have taken addresses from
# IPv6 routers.
lower_links() {
    for card in $raised; do ip link set "$card" down; done
    raised=
}

# Give each card its name, once all are there: a driver may take a while.
find_links() {
    while read -r what number mac _; do
        [ "$what" = link ] || continue
        card=$(card_with "$mac")
        if [ -z "$card" ]; then
            api_reason="no network card has the address $mac; there is: $(describe_cards)"
            return 1
        fi
        [ "$card" = "link$number" ] || ip link set "$card" name "link$number" ||
            fail "$card cannot be renamed"
    done <"$conf"
}

card_with() {
    for card in $(list_cards); do
        [ "$(cat "$sys/class/net/$card/address")" != "$1" ] || echo "$card"
    done
}

configure_links() {
    while read -r line; do
        set -- $line
        configure_line "$@" 2>"$run/ip.log" ||
            fail "network.conf: \"$line\" cannot be done: $(tail -n 1 "$run/ip.log")"
    done <"$conf"
}

configure_line() {
    case $1 in
        link) set_mtu "link$2" "$4" && start_link "link$2" ;;
        vlan) add_vlan "link$2" "link$3" "$4" "$5" "$6" ;;
        dhcp) start_udhcpc "link$2" ;;
        # The kernel itself takes addresses and routes from IPv6 routers.
        autoconf) ;;
        address) ip addr add "$3" dev "link$2" ;;
        # Appended, as several links may have a default route.
        route) ip route append "$3" via "$4" dev "link$2" ;;
        dns) echo "nameserver $2" >>/etc/resolv.conf ;;
        *) echo "unknown" >&2; return 1 ;;
    esac
}

add_vlan() {
    load_aliases 8021q
    ip link add link "$2" name "$1" type vlan id "$3" || return 1
    [ "$4" = - ] || ip link set "$1" address "$4" || return 1
    set_mtu "$1" "$5" && start_link "$1"
}

# Addresses that IPv6 routers advertise are taken where network.conf says so: the kernel might talk
# from such a one instead of from ours.
start_link() {
    # A kernel that was told to do without IPv6 has no such file.
    grep -qx "autoconf ${1#link}" "$conf" || [ ! -f "$ipv6/$1/autoconf" ] ||
        echo 0 >"$ipv6/$1/autoconf"
    ip link set "$1" up
}

set_mtu() {
    [ "$2" = - ] || ip link set "$1" mtu "$2"
}
