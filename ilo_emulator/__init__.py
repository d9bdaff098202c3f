"""An HPE iLO to hold in your hand: RIBCL over HTTPS, with a paper or a QEMU machine behind it.

It imports nothing of ironic-ilo, so that both sides of a conversation cannot share a mistake.
"""
