"""One of Swift's daemons on a ``swift.conf`` outside of ``/etc/swift``.

Servers are told of theirs by ``swift_dir``; the daemons' own commands know no other place.
Usage: ``python -m lab.openstack.swift_daemon obj.expirer <configuration file> [-v]``.
"""

import importlib
import sys
from pathlib import Path

from swift.common.utils import set_swift_dir

if __name__ == "__main__":
    daemon = importlib.import_module(f"swift.{sys.argv.pop(1)}")
    set_swift_dir(str(Path(sys.argv[1]).parent))
    daemon.main()
