# Talk to the API, with GNU wget; by its path, as busybox would run its own, which does not verify TLS.
# Sourced. Secrets stand in files of our own, never in argv.

reply=$run/reply
http_log=$run/http.log

# Set up what all requests share.
prepare_http() {
    {
        echo 'tries = 1'
        echo 'max_redirect = 0'
        echo 'use_proxy = off'
        echo 'hsts = off'
        echo 'content_on_error = on'
        echo 'server_response = on'
        echo 'check_certificate = on'
        [ ! -f "$run/floppy/callback_ca.pem" ] || echo "ca_certificate = $run/floppy/callback_ca.pem"
        [ ! -f "$run/floppy/token" ] || echo "header = X-Auth-Token: $(cat "$run/floppy/token")"
    } >"$run/wgetrc"
    export WGETRC=$run/wgetrc
    case $api_url in
        https:*) [ -f "$run/floppy/callback_ca.pem" ] ||
            fail "The API is https, and the floppy has no callback_ca.pem to verify it with" ;;
    esac
}

# Is there an HTTP answer, whatever it says? Sets $address, or $api_reason.
reach_api() {
    /usr/bin/wget -O /dev/null -T 10 "$api_url/" 2>"$http_log"
    case $? in
        0 | 8) ;;
        *) api_reason=$(tail -n 1 "$http_log"); return 1 ;;
    esac
    peer=$(api_peer <"$http_log")
    address=$(ip route get "$peer" | sed -n 's/.* src \([^ ]*\).*/\1/p')
    [ -n "$address" ]
}

# Print the address that wget connected to, from lines such as
# "Connecting to api (api)|192.0.2.1|:6385... connected." and "Connecting to [2001:db8::1]:80... connected."
api_peer() {
    sed -n 's/^Connecting to \(.*\):[0-9]*\.\.\. connected\.$/\1/p' |
        tail -n 1 | sed 's/.*|\(.*\)|$/\1/; s/^\[\(.*\)\]$/\1/'
}
