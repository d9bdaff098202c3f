# Call the conductor back.

address=

# Tell the conductor where the disk is.
call_back() {
    post_deploy_info "" && return 0
    withdraw_disk
    # The conductor has refused this deploy, or is not there: an error would fare no better.
    address=
    fail "$callback_reason"
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
    until post; do
        [ "$retry" = yes ] || return 1
        read_uptime
        [ $((now + pause)) -lt "$deadline" ] || return 1
        say "$callback_reason; trying again in $pause s"
        sleep "$pause"
        [ "$pause" -ge 16 ] || pause=$((pause * 2))
    done
}

# One call. Sets $callback_reason, and $retry to whether another may do better.
post() {
    request 60 --header 'Content-Type: application/json' --post-file "$run/body" \
        "$api_url/v1/nodes/$node/vendor_passthru/pass_deploy_info"
    retry=yes
    case $status in
        '') callback_reason="The API did not answer: $api_reason"; return 1 ;;
        2??) return 0 ;;
        400 | 401 | 403 | 404) retry=no ;;
    esac
    callback_reason="The API answered $status: $(head -c 500 "$reply" | one_line)"
    return 1
}

callback_body() {
    printf '{"address": "%s", "key": "%s", "iqn": "%s", "error": "%s"}' \
        "$address" "$key" "$iqn" "$(printf %s "$1" | one_line | json_escape)"
}

# Make text printable ASCII on one line: enough for messages, and there is nothing else to escape.
one_line() {
    tr -c ' -~' ' ' | sed 's/ *$//'
}

# Print a line as the inside of a JSON string (RFC 8259 section 7).
json_escape() {
    sed 's/[\\"]/\\&/g'
}
