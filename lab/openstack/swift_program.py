"""One of Swift's programs, on a ``swift.conf`` outside of ``/etc/swift``.

``swift_dir`` does not do: daemons ignore it, and servers take the constraints from ``/etc/swift``.
Usage: ``python -m lab.openstack.swift_program proxy.server <configuration file> [-v]``.
"""

import importlib
import sys
from pathlib import Path

from swift.common import constraints
from swift.common.utils import set_swift_dir

if __name__ == "__main__":
    module = sys.argv.pop(1)
    set_swift_dir(str(Path(sys.argv[1]).parent))
    constraints.reload_constraints()
    importlib.import_module(f"swift.{module}").main()
