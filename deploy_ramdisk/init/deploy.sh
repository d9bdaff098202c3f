# The deploy, from the drivers to the conductor's answer. Ends with 0 when the disk is on offer.
set -u

for part in console devices floppy parameters clock http network dhcp static disk target \
    callback; do
    . "/deploy/$part.sh"
done

find_other_ports
say "deploy ramdisk, kernel $(uname -r)"
load_modules
read_floppy
read_parameters "$run/floppy/parameters.txt"
check_parameters
set_clock "$clock"
bring_up_network
choose_disk
export_disk
call_back
say "offering $disk ($disk_size bytes) as $iqn at $address:$portal_port; waiting for the conductor"
