"""iLO 4's REST service, ``/rest/v1`` (HPE iLO 4 REST API): boot mode and Secure Boot.

Requests become calls of ``Ilo``; its ``Refusal`` becomes an error of HPE's.
"""
