"""What the system is made of: processors, memory, disks, network cards."""

from ilo_emulator import hardware
from ilo_emulator.hardware import Hardware
from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import collection, document, link
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Resource, Tree

_WELL = {"Health": "OK", "State": "Enabled"}
_CONTROLLER = "DE00A000"
_GIB = 1 << 30


def tree(ilo: Ilo, system: str) -> Tree:
    """Make the resources of the parts."""
    parts = hardware.of(ilo.server)
    documents = [
        *_collected("Processor", f"{system}/Processors", [_processor(parts)]),
        *_collected("Memory", f"{system}/Memory", [_memory(parts)]),
        *_collected("EthernetInterface", f"{system}/EthernetInterfaces", [_network_card(parts)]),
        *_storage(f"{system}/Storage", parts),
    ]
    return {each["@odata.id"]: _unchanging(each) for each in documents}


def _unchanging(written: Document) -> Resource:
    return Resource(lambda _: written)


def summary(parts: Hardware, system: str) -> Document:
    """Write what the system itself says of its parts, and the links to them."""
    status = {"HealthRollup": "OK"}
    return {
        "ProcessorSummary": {"Count": 1, "Model": "Emulated Processor", "Status": status},
        "MemorySummary": {"TotalSystemMemoryGiB": parts.memory_mib // 1024, "Status": status},
        **{
            name: link(f"{system}/{name}")
            for name in ("Processors", "Memory", "EthernetInterfaces", "Storage")
        },
    }


def _collected(kind: str, path: str, members: list[Document]) -> list[Document]:
    """Place documents into a collection; their numbers begin with 1."""
    version = f"{kind}.v1_0_0.{kind}"
    placed = [
        document(version, f"{path}/{number}", Id=str(number), Status=_WELL, **member)
        for number, member in enumerate(members, 1)
    ]
    return [collection(kind, path, [each["@odata.id"] for each in placed]), *placed]


def _processor(parts: Hardware) -> Document:
    return {
        "Name": "Processors",
        "ProcessorType": "CPU",
        "ProcessorArchitecture": "x86",
        "InstructionSet": "x86-64",
        "Manufacturer": "Emulated",
        "Model": "Emulated Processor",
        "MaxSpeedMHz": 2000,
        "Socket": "Proc 1",
        "TotalCores": parts.cpus,
        "TotalThreads": parts.cpus,
    }


def _memory(parts: Hardware) -> Document:
    return {
        "Name": "proc1dimm1",
        "MemoryType": "DRAM",
        "MemoryDeviceType": "DDR4",
        "CapacityMiB": parts.memory_mib,
    }


def _network_card(parts: Hardware) -> Document:
    return {"Name": "", "MACAddress": parts.mac, "LinkStatus": None, "SpeedMbps": None}


def _storage(path: str, parts: Hardware) -> list[Document]:
    place = f"{path}/{_CONTROLLER}"
    drives = [
        document(
            "Drive.v1_0_0.Drive",
            f"{place}/Drives/{number}",
            Id=str(number),
            Name=f"Drive {number}",
            CapacityBytes=size * _GIB,
            MediaType="SSD",
            Status=_WELL,
        )
        for number, size in enumerate(parts.disks_gib)
    ]
    controller = document(
        "Storage.v1_6_0.Storage",
        place,
        Id=_CONTROLLER,
        Name="Storage Controller",
        Status=_WELL,
        Drives=[link(drive["@odata.id"]) for drive in drives],
        StorageControllers=[{"MemberId": "0", "Name": "Storage Controller", "Status": _WELL}],
    )
    return [collection("Storage", path, [place]), controller, *drives]
