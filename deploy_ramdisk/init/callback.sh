# Call the conductor back: pass_deploy_info or heartbeat ($callback), with one meaning
# (ironic_ilo/callback.py has both bodies).

address= descriptions=
# What a clean step tells instead of $descriptions (a member of a JSON object), and with what status.
told= told_as=
repeat_seconds=15

# Tell the conductor where the disks are, and what: $descriptions.
call_back() {
    post_callback "" && return 0
    withdraw_disks
    # The conductor has refused this deploy, or is not there: an error would fare no better.
    address=
    fail "$callback_reason"
}

# Tell the conductor why there will be no disk, or none any more, when it can be reached.
report_error() {
    [ -n "$address" ] || return 0
    post_callback "$1" || say "the conductor was not told: $callback_reason"
}

# Call until there is an answer that counts, or the time is over. Sets $callback_reason on failure.
post_callback() {
    "${callback}_body" "$1" >"$run/body"
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
    [ "$callback" != heartbeat ] || repeat_heartbeat &
}

# Say it again for as long as a call may take, or until it is refused, as it is once the deploy is
# over: a heartbeat is answered before it is taken, and something may come in between. What has been
# taken is not taken twice.
repeat_heartbeat() {
    read_uptime
    deadline=$((now + callback_timeout))
    while [ $((now + repeat_seconds)) -lt "$deadline" ]; do
        sleep "$repeat_seconds"
        post || [ "$retry" = yes ] || return 0
        read_uptime
    done
}

# One call. Sets $callback_reason, and $retry to whether another may do better.
post() {
    set -- --header 'Content-Type: application/json' --post-file "$run/body"
    case $callback in
        pass_deploy_info)
            set -- "$@" "$api_url/v1/nodes/$node/vendor_passthru/pass_deploy_info" ;;
        # This version of the API is the first that takes agent_status.
        heartbeat)
            set -- "$@" --header 'X-OpenStack-Ironic-API-Version: 1.72' \
                "$api_url/v1/heartbeat/$node" ;;
    esac
    request 60 "$@"
    retry=yes
    case $status in
        '') callback_reason="The API did not answer: $api_reason"; return 1 ;;
        2??) return 0 ;;
        400 | 401 | 403 | 404) retry=no ;;
    esac
    callback_reason="The API answered $status: $(head -c 500 "$reply" | one_line)"
    return 1
}

pass_deploy_info_body() {
    printf '{"address": "%s", "key": "%s", "iqn": "%s", %s, "error": "%s"}' \
        "$address" "$key" "$iqn" "${told:-"\"disks\": [$descriptions]"}" "$(json_text "$1")"
}

heartbeat_body() {
    outcome=error message=$1
    [ -n "$message" ] || outcome=${told_as:-end} \
        message="{\"address\": \"$address\", \"iqn\": \"$iqn\", ${told:-"\"disks\": [$descriptions]"}}"
    printf '{"callback_url": "", "agent_version": "ironic-ilo", "agent_token": "%s", ' "$agent_token"
    printf '"agent_status": "%s", "agent_status_message": "%s"}' "$outcome" "$(json_text "$message")"
}

# Print text as the inside of a JSON string (RFC 8259 section 7).
json_text() {
    case $1 in
        *[!0-9A-Za-z.:/_-]*) printf %s "$1" | one_line | json_escape ;;
        # Programs take their time here, and what is all plain needs none.
        *) printf %s "$1" ;;
    esac
}

# Make text printable ASCII on one line: enough for messages, and there is nothing else to escape.
one_line() {
    tr -c ' -~' ' ' | sed 's/^ *//; s/ *$//'
}

json_escape() {
    sed 's/[\\"]/\\&/g'
}
