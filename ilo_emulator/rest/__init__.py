"""The iLO's REST services: what all have in common, and iLO 4's ``/rest/v1``.

``/rest/v1`` (HPE iLO 4 REST API) has boot mode and Secure Boot here. Requests become calls of
``Ilo``; its ``Refusal`` becomes an error of HPE's.
"""
