# Read the floppy's parameters: data, never commands.

api_url= node= key= agent_token= iqn= initiator= portal_port= chap_username= chap_secret= clock=
action=deploy callback=pass_deploy_info callback_timeout= login_timeout=

# Set the variables above from a file of key=value lines.
read_parameters() {
    while IFS= read -r line || [ -n "$line" ]; do
        value=${line#*=}
        case $line in
            ironic_api_url=*) api_url=$value ;;
            deployment_id=*) node=$value ;;
            action=*) action=$value ;;
            deployment_key=*) key=$value ;;
            ramdisk_callback=*) callback=$value ;;
            agent_token=*) agent_token=$value ;;
            iscsi_target_iqn=*) iqn=$value ;;
            iscsi_initiator_iqn=*) initiator=$value ;;
            iscsi_portal_port=*) portal_port=$value ;;
            iscsi_chap_username=*) chap_username=$value ;;
            iscsi_chap_secret=*) chap_secret=$value ;;
            clock=*) clock=$value ;;
            callback_timeout=*) callback_timeout=$value ;;
            login_timeout=*) login_timeout=$value ;;
        esac
    done <"$1"
}

# Refuse what is missing or malformed. Values become paths in configfs and parts of a URL.
check_parameters() {
    case $api_url in
        http://?* | https://?*) ;;
        *) fail "The parameter ironic_api_url is not an http or https URL" ;;
    esac
    check_word deployment_id "$node" '*[!0-9A-Za-z-]*'
    case $action in
        deploy | erase_devices | erase_devices_metadata) ;;
        *) fail "The parameter action is none of deploy, erase_devices and erase_devices_metadata" ;;
    esac
    case $callback in
        pass_deploy_info) check_word deployment_key "$key" '*[!0-9A-Za-z]*' ;;
        heartbeat) check_word agent_token "$agent_token" '*[!0-9A-Za-z_-]*' ;;
        *) fail "The parameter ramdisk_callback is neither pass_deploy_info nor heartbeat" ;;
    esac
    check_word iscsi_target_iqn "$iqn" '*[!0-9A-Za-z.:-]*'
    check_word iscsi_initiator_iqn "$initiator" '*[!0-9A-Za-z.:-]*'
    check_word iscsi_chap_username "$chap_username" '*[!0-9A-Za-z.:-]*'
    check_word iscsi_chap_secret "$chap_secret" '*[!0-9A-Za-z]*'
    check_number iscsi_portal_port "$portal_port"
    check_number clock "$clock"
    check_number callback_timeout "$callback_timeout"
    check_number login_timeout "$login_timeout"
}

check_number() {
    check_word "$1" "$2" '*[!0-9]*'
    # The shell would take it as octal.
    check_word "$1" "$2" '0*'
}

# The value is not shown: it may be a secret.
check_word() {
    [ -n "$2" ] || fail "The parameter $1 is missing"
    case $2 in
        $3) fail "The parameter $1 has characters that it may not have" ;;
    esac
}
