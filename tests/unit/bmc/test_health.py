"""What an iLO 4 tells of its server, whole and with gaps, and the NMI."""

import json

import pytest

from ironic_ilo.bmc import Access, Inventory, Sensor, SensorKind, connect
from ironic_ilo.exception import BmcError, BmcFeatureMissing, BmcUnreachable
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer, rest

SYSTEM = "/rest/v1/Systems/1"
# The shape is that of a DL580 Gen8's reply in proliantutils' tests; the values are made up.
HEALTH = """
<GET_EMBEDDED_HEALTH_DATA>
<FANS>
 <FAN><ZONE VALUE="System"/><LABEL VALUE="Fan 1"/><STATUS VALUE="OK"/>
  <SPEED VALUE="12" UNIT="Percentage"/></FAN>
 <FAN><ZONE VALUE="System"/><LABEL VALUE="Fan 2"/><STATUS VALUE="Not Installed"/>
  <SPEED VALUE="0" UNIT="Percentage"/></FAN>
</FANS>
<TEMPERATURE>
 <TEMP><LABEL VALUE="01-Inlet Ambient"/><LOCATION VALUE="Ambient"/><STATUS VALUE="OK"/>
  <CURRENTREADING VALUE="27" UNIT="Celsius"/></TEMP>
 <TEMP><LABEL VALUE="02-CPU 1"/><LOCATION VALUE="CPU"/><STATUS VALUE="OK"/>
  <CURRENTREADING VALUE="N/A"/></TEMP>
 <TEMP><LABEL VALUE="03-CPU 2"/><LOCATION VALUE="CPU"/><STATUS VALUE="Not Installed"/>
  <CURRENTREADING VALUE="N/A"/></TEMP>
</TEMPERATURE>
<POWER_SUPPLIES>
 <POWER_SUPPLY_SUMMARY><PRESENT_POWER_READING VALUE="162 Watts"/></POWER_SUPPLY_SUMMARY>
 <SUPPLY><LABEL VALUE="Power Supply 1"/><PRESENT VALUE="Yes"/><STATUS VALUE="Good, In Use"/>
  <CAPACITY VALUE="1200 Watts"/></SUPPLY>
 <SUPPLY><LABEL VALUE="Power Supply 2"/><PRESENT VALUE="No"/><STATUS VALUE="Unknown"/>
  <CAPACITY VALUE="N/A Watts"/></SUPPLY>
</POWER_SUPPLIES>
<PROCESSORS>
 <PROCESSOR><LABEL VALUE="Proc 1"/>
  <EXECUTION_TECHNOLOGY VALUE="8/8 cores; 16 threads"/></PROCESSOR>
 <PROCESSOR><LABEL VALUE="Proc 2"/>
  <EXECUTION_TECHNOLOGY VALUE="8/8 cores; 16 threads"/></PROCESSOR>
 <PROCESSOR><LABEL VALUE="Proc 3"/><STATUS VALUE="Not Installed"/></PROCESSOR>
</PROCESSORS>
<MEMORY><MEMORY_DETAILS_SUMMARY>
 <CPU_1><TOTAL_MEMORY_SIZE VALUE="16 GB"/></CPU_1>
 <CPU_2><TOTAL_MEMORY_SIZE VALUE="512 MB"/></CPU_2>
 <CPU_3><TOTAL_MEMORY_SIZE VALUE="N/A"/></CPU_3>
</MEMORY_DETAILS_SUMMARY></MEMORY>
<NIC_INFORMATION>
 <NIC><NETWORK_PORT VALUE="Port 1"/><LOCATION VALUE="Embedded"/>
  <MAC_ADDRESS VALUE="40:A8:F0:1E:86:74"/></NIC>
 <NIC><NETWORK_PORT VALUE="Port 2"/><LOCATION VALUE="Embedded"/><MAC_ADDRESS VALUE="N/A"/></NIC>
 <NIC><NETWORK_PORT VALUE="Port 1"/><LOCATION VALUE="PCI-E Slot 3"/>
  <MAC_ADDRESS VALUE="40:a8:f0:1e:86:99"/></NIC>
 <iLO><NETWORK_PORT VALUE="iLO Dedicated Network Port"/><LOCATION VALUE="Embedded"/>
  <MAC_ADDRESS VALUE="fc:15:b4:18:c0:d4"/></iLO>
</NIC_INFORMATION>
<FIRMWARE_INFORMATION>
 <INDEX_1><FIRMWARE_NAME VALUE="HP ProLiant System ROM"/>
  <FIRMWARE_VERSION VALUE="11/26/2014"/></INDEX_1>
 <INDEX_2><FIRMWARE_NAME VALUE="HP ProLiant System ROM - Backup"/>
  <FIRMWARE_VERSION VALUE="02/10/2014"/></INDEX_2>
 <INDEX_3><FIRMWARE_NAME VALUE="iLO"/><FIRMWARE_VERSION VALUE="2.02 Sep 05 2014"/></INDEX_3>
</FIRMWARE_INFORMATION>
<STORAGE>
 <CONTROLLER><LABEL VALUE="Controller on System Board"/>
  <LOGICAL_DRIVE><LABEL VALUE="01"/><CAPACITY VALUE="279 GB"/>
   <PHYSICAL_DRIVE><CAPACITY VALUE="300 GB"/></PHYSICAL_DRIVE></LOGICAL_DRIVE>
  <LOGICAL_DRIVE><LABEL VALUE="02"/><CAPACITY VALUE="1.5 TB"/></LOGICAL_DRIVE>
 </CONTROLLER>
 <CONTROLLER><LABEL VALUE="Controller in Slot 2"/></CONTROLLER>
 <DISCOVERY_STATUS><STATUS VALUE="Discovery Complete"/></DISCOVERY_STATUS>
</STORAGE>
</GET_EMBEDDED_HEALTH_DATA>
"""


def power(state: str) -> str:
    return f'<GET_HOST_POWER HOST_POWER="{state}"/>'


def test_health(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_EMBEDDED_HEALTH", answer(HEALTH))
    assert connect(access).get_inventory() == Inventory(
        cpus=32,
        cpu_arch="x86_64",
        memory_mib=16 * 1024 + 512,
        disks_gib=(279, 1536),
        macs=("40:a8:f0:1e:86:74",),
        rom_version="11/26/2014",
        ilo_version="2.02 Sep 05 2014",
    )
    assert connect(access).get_sensors() == (
        Sensor(SensorKind.FAN, "Fan 1", "OK", "System", 12, "Percentage"),
        Sensor(SensorKind.TEMPERATURE, "01-Inlet Ambient", "OK", "Ambient", 27, "Celsius"),
        Sensor(SensorKind.TEMPERATURE, "02-CPU 1", "OK", "CPU"),
        Sensor(SensorKind.POWER_SUPPLY, "Power Supply 1", "Good, In Use", "", 1200, "Watts"),
    )


@pytest.mark.parametrize(
    "inside",
    ["", "<STORAGE/><NIC_INFORMATION/>", "<MEMORY>none</MEMORY><PROCESSORS VALUE='N/A'/>"],
)
def test_what_an_ilo_does_not_say(ilo: ScriptedIlo, access: Access, inside):
    ilo.on(
        "GET_EMBEDDED_HEALTH",
        answer(f"<GET_EMBEDDED_HEALTH_DATA>{inside}<VRM/></GET_EMBEDDED_HEALTH_DATA>"),
    )
    assert connect(access).get_inventory() == Inventory(None, "x86_64", None, (), (), "", "")
    assert connect(access).get_sensors() == ()


def test_another_reply_is_an_error(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_EMBEDDED_HEALTH", answer("<GET_SOMETHING_ELSE/>"))
    with pytest.raises(BmcUnreachable, match="could not read the embedded health"):
        connect(access).get_inventory()
    with pytest.raises(BmcUnreachable, match="could not read the embedded health"):
        connect(access).get_sensors()


def test_nmi(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(power("ON")))
    ilo.on(f"POST {SYSTEM}", rest({"Messages": [{"MessageID": "Base.0.10.Success"}]}))
    connect(access).inject_nmi()
    assert json.loads(ilo.requests[-1]) == {"Action": "Reset", "ResetType": "Nmi"}


def test_nmi_of_a_server_that_is_off(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(power("OFF")))
    with pytest.raises(BmcError, match="the server is off"):
        connect(access).inject_nmi()
    assert ilo.commands == ["GET_HOST_POWER_STATUS"]


def test_nmi_of_a_server_without_rest(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(power("ON")))
    ilo.on(f"POST {SYSTEM}", rest({}, status=404))
    with pytest.raises(BmcFeatureMissing, match="Check the server's generation"):
        connect(access).inject_nmi()
