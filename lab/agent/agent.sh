#!/bin/sh
# Run the agent, as its console script does: it reads the floppy itself. It ends once it has the
# password for a rescue; what follows then is the work of the ramdisk.

export LANG=C.UTF-8
python3 -c 'from ironic_python_agent.cmd.agent import run; run()'

password=/etc/ipa-rescue-config/ipa-rescue-password
[ -s $password ] || exit 1
busybox adduser -D -s /bin/sh rescue
echo "rescue:$(cat $password)" | busybox chpasswd -e
rm $password
exec busybox getty -L 115200 ttyS0
