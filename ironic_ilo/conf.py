"""The ``[ilo]`` section of ironic.conf."""

from ironic.common.i18n import _
from oslo_config import cfg

GROUP = cfg.OptGroup(name="ilo", title="Options for HPE ProLiant servers with iLO 4 and beyond")

_BMC_OPTS = [
    cfg.IntOpt(
        "client_timeout",
        default=60,
        min=1,
        max=600,
        mutable=True,
        help=_(
            "Timeout, in seconds, for one exchange with an iLO, connecting included. "
            "driver_info['client_timeout'] overrides it for a node."
        ),
    ),
    cfg.PortOpt(
        "client_port",
        default=443,
        mutable=True,
        help=_("HTTPS port of the iLOs. driver_info['client_port'] overrides it for a node."),
    ),
    cfg.StrOpt(
        "verify_ca",
        default="True",
        mutable=True,
        help=_(
            "How to verify the certificates of the iLOs: 'True' (the system's CAs), the path of "
            "a CA file or directory, or 'False' (not at all, which lets anyone on the management "
            "network read the iLO's password). driver_info['ilo_verify_ca'] overrides it for a "
            "node."
        ),
    ),
    cfg.IntOpt(
        "power_timeout",
        default=120,
        min=1,
        max=3600,
        mutable=True,
        help=_("Time, in seconds, within which an iLO must report a power change as done."),
    ),
    cfg.IntOpt(
        "busy_timeout",
        default=600,
        min=0,
        max=7200,
        mutable=True,
        help=_(
            "Time, in seconds, for which a change is tried again while the iLO refuses it "
            "because the server is in POST."
        ),
    ),
]

_STORE_OPTS = [
    cfg.BoolOpt(
        "use_web_server_for_images",
        default=False,
        help=_(
            "Publish floppy images and boot ISOs through this package's own image server "
            "('ironic-ilo serve-images') rather than through Swift, which the conductor uses "
            "with the credentials in [swift]."
        ),
    ),
    cfg.StrOpt(
        "web_store_root",
        default="$state_path/ilo_images",
        help=_(
            "Directory from which 'ironic-ilo serve-images' serves. It holds secrets: the "
            "service and the conductor run as the same user, and nobody else can read it."
        ),
    ),
    cfg.URIOpt(
        "web_store_url",
        schemes=["http", "https"],
        help=_(
            "URL of 'ironic-ilo serve-images' as the iLOs reach it, such as "
            "https://192.0.2.10:8088. Required with use_web_server_for_images."
        ),
    ),
    cfg.HostAddressOpt(
        "image_server_host",
        default="0.0.0.0",  # noqa: S104 - iLOs sit on another network than the conductor
        help=_("Address on which 'ironic-ilo serve-images' listens."),
    ),
    cfg.PortOpt(
        "image_server_port",
        default=8088,
        help=_("Port on which 'ironic-ilo serve-images' listens; 0 takes a free one."),
    ),
    cfg.StrOpt(
        "image_server_certificate",
        help=_("PEM file with the certificate chain of 'ironic-ilo serve-images', for https."),
    ),
    cfg.StrOpt(
        "image_server_key",
        help=_("PEM file with the private key of 'ironic-ilo serve-images', for https."),
    ),
    cfg.StrOpt(
        "signing_key",
        secret=True,
        help=_(
            "At least 32 random characters, the same on every conductor and image server. It "
            "signs the image server's URLs, and the one-time secrets of each deploy (deploy "
            "key, CHAP secret) are derived from it, so that they stand in no database."
        ),
    ),
    cfg.StrOpt(
        "swift_ilo_container",
        default="ironic_ilo_container",
        help=_(
            "Container of the object store that holds floppy images and boot ISOs. It is created "
            "when it does not exist. Floppy images hold secrets: keep other objects elsewhere, "
            "and let nobody but the conductor read it."
        ),
    ),
    cfg.IntOpt(
        "deploy_helper_images_ttl",
        default=10,
        min=1,
        max=1440,
        mutable=True,
        help=_(
            "Time, in minutes, after which floppy images and the URLs of floppy, deploy ISO "
            "and boot ISO expire; with Swift, by X-Delete-After and as temporary URLs. It starts "
            "just before the server is powered on, and POST alone can take ten minutes on large "
            "servers: 30 is safer."
        ),
    ),
    cfg.IntOpt(
        "boot_iso_grace",
        default=3600,
        min=10,
        mutable=True,
        help=_(
            "Time, in seconds, for which a boot ISO is kept after its last user released it. It "
            "must be several times what the object store takes for an operation."
        ),
    ),
    cfg.IntOpt(
        "reconcile_interval",
        default=600,
        min=1,
        help=_(
            "Time, in seconds, after which each conductor looks again for what deploys have left "
            "behind, on servers and in the object store; at most half of boot_iso_grace."
        ),
    ),
]

_DEPLOY_OPTS = [
    cfg.StrOpt(
        "kernel_append_params",
        default="",
        mutable=True,
        help=_(
            "Kernel parameters of instances booted from a boot ISO made here, after root=. "
            "instance_info['kernel_append_params'] overrides it for an instance."
        ),
    ),
    cfg.IntOpt(
        "efi_system_partition_mib",
        default=200,
        min=16,
        mutable=True,
        help=_(
            "Size, in MiB, of the EFI system partition that servers in UEFI mode get with a "
            "partition image. It is made empty."
        ),
    ),
    cfg.PortOpt(
        "iscsi_portal_port",
        default=3260,
        min=1,
        mutable=True,
        help=_("TCP port on which the deploy ramdisk offers the node's disk."),
    ),
    cfg.IntOpt(
        "iscsi_login_timeout",
        default=1800,
        min=30,
        mutable=True,
        help=_(
            "Time, in seconds, after which the deploy ramdisk withdraws the node's disks when the "
            "conductor has not been logged in to them."
        ),
    ),
    cfg.StrOpt(
        "ramdisk_callback",
        choices=[
            (
                "pass_deploy_info",
                _(
                    "the vendor passthru of that name, with the Keystone token of the request to "
                    "deploy; needs the policy rule in ironic_ilo/data/policy.yaml"
                ),
            ),
            (
                "heartbeat",
                _("Ironic's public heartbeat, with an agent token that is good for one deploy"),
            ),
        ],
        mutable=True,
        help=_(
            "How the deploy ramdisk calls back. Unset, it is the heartbeat wherever the API asks "
            "for authentication, and pass_deploy_info with [DEFAULT]auth_strategy noauth."
        ),
    ),
    cfg.IntOpt(
        "boot_proof_timeout",
        default=900,
        min=0,
        mutable=True,
        help=_(
            "Time, in seconds after power on, within which a server must begin to read the media "
            "that its deploy ramdisk starts from; at most deploy_helper_images_ttl, after which "
            "it cannot any more. POST, which comes first, takes up to ten minutes on large "
            "servers. When it is over, the media are inserted once more, and when it is over "
            "again, the deploy or the cleaning fails. Only with use_web_server_for_images, for "
            "Swift does not tell what is read. 0 waits for the ramdisk's callback alone."
        ),
    ),
    cfg.StrOpt(
        "callback_ca",
        help=_(
            "PEM file with the CA of Ironic's API, for the deploy ramdisk. Required when the "
            "API's URL is https."
        ),
    ),
    cfg.IntOpt(
        "callback_retry_timeout",
        default=300,
        min=10,
        max=3600,
        mutable=True,
        help=_("Time, in seconds, for which the deploy ramdisk repeats a failing callback."),
    ),
    cfg.IntOpt(
        "write_timeout",
        default=3600,
        min=60,
        mutable=True,
        help=_("Time, in seconds, within which an image must be written to a node's disk."),
    ),
    cfg.IntOpt(
        "write_stall_timeout",
        default=120,
        min=10,
        mutable=True,
        help=_("Time, in seconds, without any progress after which writing an image fails."),
    ),
    cfg.IntOpt(
        "max_concurrent_writes",
        default=8,
        min=1,
        mutable=True,
        help=_(
            "How many images each conductor writes at the same time. Further deploys wait, first "
            "come first served; 'ilo_deploy_progress' in the node's driver_internal_info tells "
            "their place. A write takes at most 96 MiB of memory and, on a fast network, one core."
        ),
    ),
    cfg.BoolOpt(
        "verify_after_write",
        default=False,
        mutable=True,
        help=_(
            "Whether to read back what was written to a node's disk, and to compare it with the "
            "image. It takes about as long as the write."
        ),
    ),
]

OPTS = _BMC_OPTS + _STORE_OPTS + _DEPLOY_OPTS


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Add the section to a configuration; doing it twice is fine."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Tell oslo.config's generators of the section (entry point ``oslo.config.opts``)."""
    return [(GROUP, OPTS)]
