"""RIBCL, the XML command language of iLO 2 to 6.

Facts: HPE iLO 4 Scripting and Command Line Guide; what python-hpilo 4.4.3 and proliantutils
2.16.3 send and insist on.
"""
