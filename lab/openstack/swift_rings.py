"""Makes the rings of a Swift with one device, on which every partition of each kind lives.

A program of its own, since importing Swift gives a process eventlet's threads.
Usage: ``python -m lab.openstack.swift_rings <directory> <device> account=6202 ...``.
"""

import array
import sys
from pathlib import Path

from swift.common.ring import RingData

_PART_POWER = 1  # the updater starts a process for each partition, whenever it looks


def _make_ring(directory: Path, device: str, kind: str, port: int) -> None:
    place = {
        "id": 0,
        "region": 1,
        "zone": 1,
        "ip": "127.0.0.1",
        "port": port,
        "device": device,
        "weight": 1.0,
    }
    parts = array.array("H", [0] * 2**_PART_POWER)
    RingData([parts], [place], 32 - _PART_POWER).save(directory / f"{kind}.ring.gz")


if __name__ == "__main__":
    for argument in sys.argv[3:]:
        kind, _, port = argument.partition("=")
        _make_ring(Path(sys.argv[1]), sys.argv[2], kind, int(port))
