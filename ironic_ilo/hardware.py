"""Which interfaces a ProLiant supports."""

from typing import Any

from ironic.drivers import generic
from ironic.drivers.modules import agent, noop
from ironic.drivers.modules import ramdisk as ironic_ramdisk

from ironic_ilo import boot, deploy, inspect, management, power, vendor


class IloHardware(generic.GenericHardware):
    """HPE ProLiant servers, driven through their iLO."""

    @property
    def supported_boot_interfaces(self) -> list[type]:
        """Virtual media only: no PXE on the way."""
        return [boot.IloVirtualMediaBoot]

    @property
    def supported_deploy_interfaces(self) -> list[type]:
        """Writing the image over iSCSI, or what Ironic's own agent and ISOs do."""
        return [
            deploy.IloVirtualMediaIscsiDeploy,
            agent.AgentDeploy,
            ironic_ramdisk.RamdiskDeploy,
            agent.CustomAgentDeploy,
        ]

    @property
    def supported_inspect_interfaces(self) -> list[type]:
        """Out of band, or none."""
        return [inspect.IloInspect, noop.NoInspect]

    @property
    def supported_management_interfaces(self) -> list[type]:
        """Boot device and boot mode, through the iLO."""
        return [management.IloManagement]

    @property
    def supported_power_interfaces(self) -> list[type]:
        """Power, through the iLO."""
        return [power.IloPower]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """The deploy ramdisk's callback; required by the deploy interface."""
        return [vendor.VendorPassthru]


class Ilo5Hardware(IloHardware):
    """The same, under the name that nodes of the removed ``ilo5`` type carry."""
