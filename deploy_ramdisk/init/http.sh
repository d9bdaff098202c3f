# Talk to the API, with GNU wget; by its path, as busybox would run its own, which does not verify
# TLS. Secrets stand in files of ours, never in argv.

http_log=$run/http.log
reply=$run/reply

# Set up what all requests share.
prepare_http() {
    ca=$run/floppy/callback_ca.pem token=$run/floppy/token
    case $api_url in
        https:*) [ -f "$ca" ] ||
            fail "The API is https, and the floppy has no callback_ca.pem to verify it with" ;;
    esac
    {
        echo 'tries = 1'
        echo 'max_redirect = 0'
        echo 'use_proxy = off'
        echo 'hsts = off'
        echo 'content_on_error = on'
        echo 'server_response = on'
        echo 'check_certificate = on'
        [ ! -f "$ca" ] || echo "ca_certificate = $ca"
        [ ! -f "$token" ] || echo "header = X-Auth-Token: $(cat "$token")"
    } >"$run/wgetrc"
    export WGETRC=$run/wgetrc
}

# Is there an HTTP answer, whatever it says? Sets $address, or $api_reason.
reach_api() {
    request 10 "$api_url/"
    [ -n "$status" ] || return 1
    peer=$(api_peer <"$http_log")
    address=$(ip route get "$peer" | sed -n 's/.* src \([^ ]*\).*/\1/p')
    [ -n "$address" ] || { api_reason="no route to $peer"; return 1; }
    ! is_makeshift "$address" "$peer" ||
        { address=; api_reason="no address but a link-local one is in use yet"; return 1; }
}

# Is an address link-local, and the peer's not? IPv6 talks from such a one while it finds out whether
# somebody else has ours (RFC 4862 section 5.4), and the conductor may not be on this link.
is_makeshift() {
    case $1 in fe80:*) ;; *) return 1 ;; esac
    case $2 in fe80:*) return 1 ;; esac
}

# Make a request: seconds to wait for an answer, and wget's arguments. Sets $status, which is empty
# when there was no answer, and $api_reason to why.
request() {
    seconds=$1
    shift
    rm -f "$reply"
    /usr/bin/wget -O "$reply" -T "$seconds" "$@" 2>"$http_log"
    status=$(http_status <"$http_log")
    [ -n "$status" ] || api_reason=$(grep -v -e '^$' -e '^Giving up' "$http_log" | tail -n 1)
}

# Print the status of the answer, from lines such as "  HTTP/1.1 200 OK".
http_status() {
    sed -n 's|^ *HTTP/[0-9.]* \([0-9]*\).*|\1|p' | tail -n 1
}

# Print the address that wget connected to, from lines such as
# "Connecting to api (api)|192.0.2.1|:6385... connected." and
# "Connecting to [2001:db8::1]:6385... connected."
api_peer() {
    sed -n 's/^Connecting to \(.*\):[0-9]*\.\.\. connected\.$/\1/p' |
        tail -n 1 | sed 's/.*|\(.*\)|$/\1/; s/^\[\(.*\)\]$/\1/'
}
