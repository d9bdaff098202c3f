"""Redfish as iLOs speak it, ``/redfish/v1`` (HPE's iLO RESTful API documents; DMTF DSP0266).

What differs between iLO 4, 5, 6 and 7 stands in their profiles. Requests become calls of ``Ilo``;
its ``Refusal`` becomes an error of HPE's.
"""
