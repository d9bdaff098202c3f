"""For the processes of a client that works at port 443 only: there they reach the emulated iLO.

Python imports it at its start if ``PYTHONPATH`` names its directory. The client is as it was.
"""

import os
import socket

HTTPS = 443
_PORT = int(os.environ["EMULATED_ILO_PORT"])
_connect = socket.socket.connect


def _redirected(self, address):
    if address[1:2] == (HTTPS,):
        address = (address[0], _PORT)
    return _connect(self, address)


socket.socket.connect = _redirected
