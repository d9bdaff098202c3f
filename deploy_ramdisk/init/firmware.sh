# How this server was booted.

# Print it for people.
describe_firmware() {
    if [ ! -d "$sys/firmware/efi" ]; then
        echo "BIOS mode"
    elif dmesg | grep -q 'secureboot: Secure boot enabled'; then
        echo "UEFI mode with Secure Boot"
    else
        echo "UEFI mode"
    fi
}
