"""An iLO 5 of dictionaries, which speaks Redfish until a test tells it to say something else."""

import copy
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.unit.bmc.scripted_ilo import Behaviour, Connection, ScriptedIlo, not_found, raw, xmldata

ROOT = "/redfish/v1"
SESSIONS = f"{ROOT}/SessionService/Sessions"
SYSTEM = f"{ROOT}/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
SECURE_BOOT = f"{SYSTEM}/SecureBoot"
MANAGER = f"{ROOT}/Managers/1"
BIOS = f"{ROOT}/systems/1/bios"
DRIVES = f"{MANAGER}/VirtualMedia"
CD = f"{DRIVES}/2"
FLOPPY = f"{DRIVES}/1"
STANDARD = "VirtualMedia.{}Media"
OEM = "Oem/Hpe/HpeiLOVirtualMedia.{}VirtualMedia"


def link(path: str) -> dict[str, str]:
    return {"@odata.id": f"{path}/"}


def drive(path: str, number: str, *types: str) -> dict[str, Any]:
    def actions(form: str) -> dict[str, Any]:
        return {
            f"#{form.format(verb).rpartition('/')[2]}": {
                "target": f"{path}/Actions/{form.format(verb)}/"
            }
            for verb in ("Insert", "Eject")
        }

    return {
        "Id": number,
        "Name": "VirtualMedia",
        "MediaTypes": list(types),
        "Image": "",
        "Inserted": False,
        "ConnectedVia": "NotConnected",
        "Actions": actions(STANDARD),
        "Oem": {"Hpe": {"Actions": actions(OEM)}},
    }


def collection(*paths: str) -> dict[str, Any]:
    return {"Name": "Collection", "Members": [link(path) for path in paths]}


DOCUMENTS: dict[str, dict[str, Any]] = {
    ROOT: {
        "Id": "v1",
        "Name": "HPE RESTful Root Service",
        "RedfishVersion": "1.6.0",
        "Systems": link(f"{ROOT}/Systems"),
        "Managers": link(f"{ROOT}/Managers"),
        "Links": {"Sessions": link(SESSIONS)},
        "Oem": {"Hpe": {"Manager": [{"ManagerType": "iLO 5", "ManagerFirmwareVersion": "1.40"}]}},
    },
    f"{ROOT}/Systems": collection(SYSTEM),
    f"{ROOT}/Managers": collection(MANAGER),
    SYSTEM: {
        "Id": "1",
        "Name": "Computer System",
        "Model": "ProLiant DL380 Gen10",
        "PowerState": "Off",
        "Boot": {
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideMode": "UEFI",
            "BootSourceOverrideTarget": "None",
            "BootSourceOverrideTarget@Redfish.AllowableValues": [
                "None",
                "Cd",
                "Hdd",
                "Usb",
                "Pxe",
            ],
        },
        "Bios": link(BIOS),
        "SecureBoot": link(SECURE_BOOT),
        "Actions": {
            "#ComputerSystem.Reset": {
                "target": f"{RESET}/",
                "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "ForceRestart"],
            }
        },
        "Oem": {"Hpe": {"Bios": {"UefiClass": 2}}},
    },
    SECURE_BOOT: {
        "Id": "SecureBoot",
        "Name": "SecureBoot",
        "SecureBootCurrentBoot": "Disabled",
        "SecureBootEnable": False,
    },
    BIOS: {
        "Id": "bios",
        "Name": "BIOS Current Settings",
        "Attributes": {"BootMode": "Uefi", "UefiOptimizedBoot": "Enabled"},
        "@Redfish.Settings": {"ETag": "1", "SettingsObject": link(f"{BIOS}/settings")},
        "Oem": {"Hpe": {"Links": {"Boot": link(f"{BIOS}/boot")}}},
    },
    f"{BIOS}/settings": {
        "Id": "settings",
        "Name": "BIOS Pending Settings",
        "Attributes": {"BootMode": "Uefi", "UefiOptimizedBoot": "Enabled"},
    },
    f"{BIOS}/boot": {
        "BootSources": [
            {
                "StructuredBootString": "NIC.LOM.1.1.IPv4",
                "BootString": "Embedded LOM 1 Port 1 : HPE Ethernet 1Gb - NIC (PXE IPv4)",
            },
            {
                "StructuredBootString": "HD.EmbRAID.1.2",
                "BootString": "Embedded RAID 1 : HPE Smart Array P408i-a - 279 GiB, RAID 0 LogVol",
            },
            {
                "StructuredBootString": "CD.Virtual.2.1",
                "BootString": "iLO Virtual USB 3 : HPE Virtual CD-ROM",
            },
        ],
        "PersistentBootConfigOrder": ["HD.EmbRAID.1.2", "NIC.LOM.1.1.IPv4", "CD.Virtual.2.1"],
    },
    MANAGER: {
        "Id": "1",
        "Name": "Manager",
        "FirmwareVersion": "iLO 5 v1.40",
        "VirtualMedia": link(DRIVES),
        "Oem": {"Hpe": {"License": {"LicenseString": "iLO Advanced"}}},
    },
    DRIVES: collection(FLOPPY, CD),
    FLOPPY: drive(FLOPPY, "1", "Floppy", "USBStick"),
    CD: drive(CD, "2", "CD", "DVD"),
}
DOCUMENTS[CD]["Oem"]["Hpe"]["BootOnNextServerReset"] = False


def message(name: str) -> dict[str, Any]:
    """Write what comes with each write, and with each refusal."""
    information = [{"MessageId": f"iLO.2.8.{name}"}]
    return {"error": {"code": "iLO.0.10.ExtendedInfo", "@Message.ExtendedInfo": information}}


def redfish(document: Any, *, status: int = 200, headers: str = "") -> Behaviour:
    text = json.dumps(document)
    return raw(f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(text)}\r\n\r\n{text}")


def refuse(name: str, status: int = 400) -> Behaviour:
    return redfish(message(name), status=status)


def redirect(location: str, status: int = 308) -> Behaviour:
    return redfish({}, status=status, headers=f"Location: {location}\r\n")


class RedfishIlo(ScriptedIlo):
    """Serves ``documents``, and does what writes ask for.

    :ivar documents: by path, without a slash at the end.
    :ivar sessions: the tokens of those that are logged in, by path.
    """

    def __init__(self, certificate: Path, login: tuple[str, str], **listening: str) -> None:
        self.documents = copy.deepcopy(DOCUMENTS)
        self.login = login
        self.sessions: dict[str, str] = {}
        self.logins = 0
        super().__init__(certificate, **listening)
        self.xmldata = xmldata("Integrated Lights-Out 5 (iLO 5)", "1.40")

    def serve(self, connection: Connection) -> None:
        """Behave as usual, in the middle of a script."""
        if " " not in connection.command:  # RIBCL
            return not_found(connection)
        method, path = connection.command.split()
        answer = self._answer(method, path.rstrip("/"), connection.body)
        return answer(connection)

    def changes(self) -> list[str]:
        """List what was asked for but readings, logins and logouts."""
        writes = [each.rstrip("/") for each in self.commands if not each.startswith("GET ")]
        return [each for each in writes if SESSIONS not in each]

    def _next(self, command: str) -> Behaviour:
        plain = command.rstrip("/")
        return super()._next(plain) if plain in self._scripts else self.serve

    def _answer(self, method: str, path: str, body: str) -> Behaviour:
        if (method, path) == ("POST", SESSIONS):
            return self._log_in(json.loads(body))
        if path != ROOT and self.headers.get("x-auth-token") not in self.sessions.values():
            return refuse("NoValidSession", 401)
        if method == "DELETE":
            found = self.sessions.pop(path, None)
            return refuse("Success", HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
        if method == "POST":
            return self._act(path, json.loads(body))
        if path not in self.documents:
            return refuse("ResourceMissingAtURI", 404)
        return redfish(self.documents[path]) if method == "GET" else self._patch(path, body)

    def _log_in(self, request: dict[str, str]) -> Behaviour:
        if (request["UserName"], request["Password"]) != self.login:
            return refuse("UnauthorizedLoginAttempt")
        self.logins += 1
        path, token = f"{SESSIONS}/admin{self.logins}", f"canary-token-{self.logins}"
        self.sessions[path] = token
        headers = f"X-Auth-Token: {token}\r\nLocation: https://ilo.example{path}/\r\n"
        return redfish(message("Created"), status=201, headers=headers)

    def _act(self, path: str, arguments: dict[str, str]) -> Behaviour:
        resource, _, action = path.partition("/Actions/")
        if action.endswith("Reset"):
            return self._reset(arguments["ResetType"])
        document = self.documents[resource]
        if ("Insert" in action) is document["Inserted"]:
            full = document["Inserted"]
            return refuse(
                "MaxVirtualMediaConnectionEstablished"
                if full
                else "NoVirtualMediaConnectionAvailable"
            )
        document["Image"] = arguments.get("Image", "")
        document["Inserted"] = "Insert" in action
        document["ConnectedVia"] = "URI" if document["Inserted"] else "NotConnected"
        if "BootOnNextServerReset" in document["Oem"]["Hpe"]:
            document["Oem"]["Hpe"]["BootOnNextServerReset"] = False
        return refuse("Success", 200)

    def _reset(self, how: str) -> Behaviour:
        system = self.documents[SYSTEM]
        needed = {"On": "Off", "ForceOff": "On", "ForceRestart": "On"}[how]
        if system["PowerState"] != needed:
            return refuse("InvalidOperationForSystemState")
        system["PowerState"] = "Off" if how == "ForceOff" else "On"
        return refuse("Success", 200)

    def _patch(self, path: str, body: str) -> Behaviour:
        if "BootSourceOverrideMode" in body:
            return refuse("PropertyNotWritableOrUnknown")
        _merge(self.documents[path], json.loads(body))
        return refuse("Success", 200)


def _merge(into: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value
