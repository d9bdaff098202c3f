"""Deploy HPE ProLiant servers with Ironic through iLO virtual media and iSCSI."""
