"""What Ironic's removed ``iscsi``, ``ilo`` and ``ilo5`` knew by name, and what became of it.

From Ironic's sources before 929907d68 (2021) and afb64cf26 (2026). doc/source/admin/upgrade.rst
says the same to people.
"""

from collections.abc import Iterable
from dataclasses import dataclass

#: The hardware types, and the drivers before them.
DRIVERS = {"ilo": "ilo", "ilo5": "ilo5", "iscsi_ilo": "ilo", "agent_ilo": "ilo", "pxe_ilo": "ilo"}


@dataclass(frozen=True)
class OldName:
    """One name of old.

    :ivar place: where it stood: the type of an interface, a section of ``ironic.conf`` or a field
        of nodes.
    :ivar now: what stands there today instead; ``None``: nothing.
    :ivar advice: what to do, where it is more than to put one name for another.
    """

    place: str
    name: str
    now: str | None
    advice: str = ""


def _kept(place: str, *names: str) -> Iterable[OldName]:
    return (OldName(place, name, name) for name in names)


def _gone(place: str, *names: str, advice: str) -> Iterable[OldName]:
    return (OldName(place, name, None, advice) for name in names)


def _replaced(place: str, now: str, *names: str, advice: str = "") -> Iterable[OldName]:
    return (OldName(place, name, now, advice) for name in names)


INTERFACES = (
    *_kept("boot", "ilo-virtual-media"),
    *_replaced("boot", "ilo-virtual-media", "ilo-pxe", "ilo-ipxe", "ilo-uefi-https"),
    *_kept("deploy", "direct", "ramdisk", "custom-agent"),
    *_replaced("deploy", "ilo-iscsi", "iscsi", "ansible", "anaconda", "bootc", "autodetect"),
    *_kept("power", "ilo"),
    *_kept("management", "ilo"),
    *_replaced("management", "ilo", "ilo5"),
    *_kept("vendor", "ilo"),
    *_kept("inspect", "ilo"),
    *_replaced("bios", "no-bios", "ilo"),
    *_replaced("raid", "no-raid", "ilo5"),
    *_replaced("console", "no-console", "ilo"),
    *_kept("rescue", "agent"),
)

_BY_HAND = "use the iLO itself: its web page, ssh or hponcfg"
_FIRMWARE = "use the iLO's web page, or HPE's Service Pack, by boot_into_iso"
#: Clean and deploy steps; those of ``bios`` and ``raid`` other hardware types have as well.
STEPS = (
    *_gone(
        "management",
        "reset_ilo",
        "reset_ilo_credential",
        "reset_bios_to_default",
        "reset_secure_boot_keys_to_default",
        "clear_secure_boot_keys",
        "activate_license",
        "security_parameters_update",
        "update_minimum_password_length",
        "update_auth_failure_logging_threshold",
        "create_csr",
        "add_https_certificate",
        "clear_ca_certificates",
        advice=_BY_HAND,
    ),
    *_gone(
        "management",
        "update_firmware",
        "update_firmware_sum",
        "flash_firmware_sum",
        advice=_FIRMWARE,
    ),
    *_gone(
        "management",
        "erase_devices",
        "one_button_secure_erase",
        advice="use erase_devices or erase_devices_metadata of the deploy interface",
    ),
    *_gone(
        "raid",
        "apply_configuration",
        "create_configuration",
        "delete_configuration",
        advice="configure arrays in the server's own firmware",
    ),
    *_gone("bios", "apply_configuration", "factory_reset", advice=_BY_HAND),
    *_kept("deploy", "deploy", "write_image", "prepare_instance_boot"),
)

DRIVER_INFO = (
    *_kept(
        "driver_info",
        "ilo_address",
        "ilo_username",
        "ilo_password",
        "client_port",
        "client_timeout",
        "ilo_verify_ca",
        "deploy_iso",
        "rescue_iso",
    ),
    *_replaced("driver_info", "ilo_verify_ca", "ca_file"),
    *_replaced(
        "driver_info",
        "deploy_iso",
        *("ilo_deploy_iso", "deploy_kernel", "deploy_ramdisk", "bootloader"),
        *("ilo_deploy_kernel", "ilo_deploy_ramdisk", "ilo_bootloader"),
    ),
    *_replaced(
        "driver_info",
        "rescue_iso",
        *("ilo_rescue_iso", "rescue_kernel", "rescue_ramdisk"),
        *("ilo_rescue_kernel", "ilo_rescue_ramdisk"),
    ),
    *_gone(
        "driver_info",
        "kernel_append_params",
        "ilo_kernel_append_params",
        advice="set it in instance_info, for the instance's kernel",
    ),
    *_gone("driver_info", "ilo_add_certificates", advice="give the iLO its certificates yourself"),
    *_gone("driver_info", "ilo_change_password", advice=_BY_HAND),
    *_gone("driver_info", "console_port", advice="use the iLO's remote console"),
    *_gone(
        "driver_info",
        "snmp_auth_user",
        "snmp_auth_prot_password",
        "snmp_auth_priv_password",
        "snmp_auth_protocol",
        "snmp_auth_priv_protocol",
        advice="inspection does without SNMP",
    ),
)

INSTANCE_INFO = (
    *_kept(
        "instance_info",
        *("image_source", "root_gb", "swap_mb", "ephemeral_gb", "ephemeral_format"),
        *("kernel", "ramdisk", "boot_iso", "kernel_append_params"),
    ),
    *_replaced("instance_info", "boot_iso", "ilo_boot_iso"),
)

_NO_STEP = "the step is gone"
OPTIONS = (
    *_kept(
        "ilo",
        "client_timeout",
        "client_port",
        "verify_ca",
        "swift_ilo_container",
        "use_web_server_for_images",
        "kernel_append_params",
    ),
    *_replaced("ilo", "verify_ca", "ca_file"),
    *_replaced(
        "ilo", "deploy_helper_images_ttl", "swift_object_expiry_timeout", advice="in minutes"
    ),
    *_replaced("ilo", "power_timeout", "power_wait", "power_retry", advice="seconds in all"),
    *_gone("ilo", "file_permission", advice="files are the conductor's user's alone"),
    *_gone("ilo", "default_boot_mode", advice="the server's boot mode is left as it is"),
    *_gone(
        "ilo",
        "clean_priority_reset_ilo",
        "clean_priority_reset_bios_to_default",
        "clean_priority_reset_secure_boot_keys_to_default",
        "clean_priority_clear_secure_boot_keys",
        "clean_priority_reset_ilo_credential",
        "oob_erase_devices_job_status_interval",
        "cert_path",
        advice=_NO_STEP,
    ),
    *_gone(
        "ilo",
        "clean_priority_erase_devices",
        advice="set [deploy]erase_devices_priority",
    ),
    *_gone("iscsi", "portal_port", advice="set [ilo]iscsi_portal_port"),
    *_gone("iscsi", "conv_flags", "verify_attempts", advice="there is no such thing any more"),
)
