# From the drivers to what the floppy asks for. Ends with 0 when that is done, and never for a
# deploy: it ends when the server is powered off.
set -u

for part in console firmware devices drivers floppy parameters clock http network dhcp static \
    identity disk describe target callback erase erase_metadata erase_data erase_hardware; do
    . "/deploy/$part.sh"
done

find_other_ports
say "deploy ramdisk, kernel $(uname -r), $(describe_firmware)"
load_modules
await_iso
read_floppy
read_parameters "$run/floppy/parameters.txt"
check_parameters
set_clock "$clock"
bring_up_network
case $action in
    deploy) offer_disks ;;
    erase_*) erase_disks ;;
esac
