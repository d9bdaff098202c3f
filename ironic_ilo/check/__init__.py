"""``ironic-ilo check``: what a deploy needs, looked at before it is tried; nothing is changed.

``findings`` has the vocabulary, and runs checks within deadlines. ``ilo``, ``store``,
``deploy_iso`` and ``lifetimes`` have one group of checks each, ``subject`` reads the node and the
configuration, ``report`` prints.
"""
