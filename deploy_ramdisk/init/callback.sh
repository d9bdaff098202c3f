# Call the conductor back. Sourced.

address=

# Tell the conductor where the disk is.
call_back() {
    post_deploy_info "" || { withdraw_disk; fail "$callback_reason"; }
}

# Tell the conductor why there will be no disk, when it can be reached.
report_error() {
    [ -n "$address" ] || return 0
    post_deploy_info "$1" || say "the conductor was not told: $callback_reason"
}

# Call until there is an answer that counts, or the time is over. Sets $callback_reason on failure.
post_deploy_info() {
    callback_body "$1" >"$run/body"
    read_uptime
    deadline=$((now + callback_timeout)) pause=1
    while :; do
        post && return 0
        [ "$retry" = yes ] || return 1
        read_uptime
        [ "$((now + pause))" -lt "$deadline" ] || return 1
        say "$callback_reason; trying again in $pause s"
        sleep "$pause"
        pause=$((pause < 15 ? pause * 2 : pause))
    done
}

# One call. Sets $callback_reason, and $retry to whether another may do better.
post() {
    /usr/bin/wget -O "$reply" -T 60 --header 'Content-Type: application/json' --post-file "$run/body" \
        "$api_url/v1/nodes/$node/vendor_passthru/pass_deploy_info" 2>"$http_log"
    code=$? status=$(http_status <"$http_log") retry=yes
    case $code/$status in
        0/*) return 0 ;;
        8/400 | 8/401 | 8/403 | 8/404) retry=no ;;
    esac
    case $code in
        8) callback_reason="the API answered $status: $(head -c 500 "$reply" | tr -c '[:print:]' ' ')" ;;
        *) callback_reason="the API did not answer: $(tail -n 1 "$http_log")" ;;
    esac
    return 1
}

http_status() {
    sed -n 's|^ *HTTP/[0-9.]* \([0-9]*\).*|\1|p' | tail -n 1
}

callback_body() {
    printf '{"address": "%s", "key": "%s", "iqn": "%s", "error": "%s"}' \
        "$address" "$key" "$iqn" "$(printf %s "$1" | json_escape)"
}

# Print standard input as the inside of a JSON string (RFC 8259 section 7), in ASCII, on one line.
json_escape() {
    tr -c '[:print:]' ' ' | sed 's/[\\"]/\\&/g'
}
