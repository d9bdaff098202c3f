"""The main job from start to end: a real Debian onto an emulated ProLiant, by a real Ironic."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from openstack.baremetal.v1.node import Node as ApiNode

from ironic_ilo.timeline import PROGRESS, TIMELINE
from lab import console
from lab.debian_image import build_debian_image
from lab.deploy_iso import build_cached_deploy_iso
from lab.emulator import Control
from lab.instance_image import InstanceImage
from lab.keeper import KeptLab, kept_lab
from lab.node import Node, connected, enrol
from lab.report import Reporter, write_detail
from lab.services import describe_services
from lab.settings import Settings, cache_directory, with_free_ports
from lab.sources import offer
from lab.timeline import Timeline

_SECONDS_TO_DEPLOY = 1200.0
# Several times what it takes: a Debian on an emulated CPU, whose host may be busy.
_SECONDS_TO_LOGIN = 1500.0

_DEPLOY_STAGES = {
    "image": "checking the image",
    "attach": "attaching deploy ISO and floppy",
    "post": "booting the deploy ramdisk",
    "ramdisk": "booting the deploy ramdisk",
    "write": "writing the image over iSCSI",
    "boot_iso": "building the boot ISO",
    "boot": "booting the instance",
}


@dataclass(frozen=True)
class Result:
    """What a demo saw.

    :ivar boot_mode: ``bios`` or ``uefi``, in which the server has booted.
    :ivar boot_iso: name of the object that the instance boots from.
    :ivar logins_seen: how often the instance asked for a login, once for each boot.
    :ivar seconds: by stage, and ``deploy`` and ``total``.
    :ivar bytes_written: of the image, to the node's disk.
    :ivar bytes_fetched_by_bmc: of virtual media.
    """

    provision_state: str
    power_state: str
    boot_mode: str
    boot_iso: str
    logins_seen: int
    seconds: dict[str, float]
    bytes_written: int
    bytes_fetched_by_bmc: int
    console_log: str
    screenshot: str

    def as_dict(self) -> dict[str, Any]:
        """Give a form for JSON."""
        return asdict(self)


class Demo:
    """One run of the demo.

    :param keep: leave the lab, and the instance, running at the end.
    :param reboot: boot the instance once more.
    """

    def __init__(
        self, settings: Settings, reporter: Reporter, *, keep: bool, reboot: bool
    ) -> None:
        self.timeline = Timeline()
        self._settings = settings
        self._reporter = reporter
        self._keep = keep
        self._reboot = reboot
        self._deploy_seconds = 0.0
        self._bytes_written = 0
        self._logins_seen = 0

    def run(self) -> Result:
        """Do it all, and leave nothing running unless told to.

        :raises Error: a stage failed; the lab's files stay for people to look at.
        """
        settings = with_free_ports(self._settings)
        with self._stage("deploy_iso", "Building the deploy ISO, unless it is cached"):
            deploy_iso = build_cached_deploy_iso()
        with self._stage("debian_image", "Building the Debian image, unless it is cached"):
            image = build_debian_image(cache_directory() / "mmdebstrap.log")
        with self._lab(settings, [deploy_iso.parent, image.directory]) as lab:
            story = self._tell(lab, deploy_iso, image)
            if self._keep:
                lab.leave_running()
        seconds = self.timeline.seconds | {
            "deploy": self._deploy_seconds,
            "total": self.timeline.total,
        }
        return replace(story, seconds={name: round(value, 1) for name, value in seconds.items()})

    def _tell(self, lab: KeptLab, deploy_iso: Path, image: InstanceImage) -> Result:
        """Enrol a server, deploy and reboot it, and note what is seen."""
        (server, *_) = lab.services.servers.values()
        with (
            connected(lab.services) as connection,
            closing(Control(lab.services.control_url)) as control,
        ):
            with self._stage("offer", "Offering the images to Ironic"):
                sources = offer(lab.services, deploy_iso, image)
            with self._stage("enrol", f"Enrolling and validating {server.name}"):
                node = Node(connection, enrol(lab.services, server, sources))
                node.assign(sources)
                node.validate()
            log = Path(control.server(server.name)["console_log"])
            self._deploy(node)
            self._see_logins(node, log, image)
            with self._stage("screenshot", "Taking a picture of its screen"):
                screenshot = control.screenshot(server.name)
            result = self._result(node.get(), control.server(server.name), screenshot)
            if not self._keep:
                with self._stage("undeploy", "Taking the instance away again"):
                    node.undeploy()
        return result

    def _see_logins(self, node: Node, log: Path, image: InstanceImage) -> None:
        with self._stage("login", "Waiting for Debian's login prompt"):
            seen = self._see_login(log, image, after=0)
        if self._reboot:
            with self._stage("reboot", "Rebooting through Ironic, up to the prompt"):
                node.reboot()
                self._see_login(log, image, after=seen)

    def _deploy(self, node: Node) -> None:
        """Deploy; the driver's own timeline tells where the time went."""
        self._reporter.begin("Deploying")
        started = time.monotonic()
        try:
            active = node.deploy(timeout=_SECONDS_TO_DEPLOY, on_poll=self._show)
        finally:
            self._deploy_seconds = time.monotonic() - started
        self.timeline.add_marks((active.driver_internal_info or {}).get(TIMELINE, []))

    def _show(self, node: ApiNode) -> None:
        """Show how far a deploy is."""
        internal: dict[str, Any] = node.driver_internal_info or {}
        progress = internal.get(PROGRESS)
        marks = internal.get(TIMELINE)
        stage = marks[-1]["stage"] if marks else ""
        if stage == "write" and progress:
            self._bytes_written = int(progress["bytes_total"])
            self._reporter.detail(write_detail(progress), progress["percent"])
        else:
            self._reporter.detail(_DEPLOY_STAGES.get(stage, str(node.provision_state)))

    def _see_login(self, log: Path, image: InstanceImage, *, after: int) -> int:
        end = console.wait_for_text(
            log, image.login_prompt, after=after, timeout=_SECONDS_TO_LOGIN
        )
        self._logins_seen += 1
        return end

    def _result(self, node: ApiNode, server: dict[str, Any], screenshot: Path) -> Result:
        internal: dict[str, Any] = node.driver_internal_info or {}
        return Result(
            provision_state=str(node.provision_state),
            power_state=str(node.power_state),
            boot_mode=str(internal.get("ilo_boot_mode")),
            boot_iso=str((node.instance_info or {}).get("boot_iso", "")),
            logins_seen=self._logins_seen,
            seconds={},
            bytes_written=self._bytes_written,
            bytes_fetched_by_bmc=int(server["bytes_fetched"]),
            console_log=str(server["console_log"]),
            screenshot=str(screenshot),
        )

    @contextmanager
    def _lab(self, settings: Settings, file_paths: list[Path]) -> Iterator[KeptLab]:
        """Run the services; starting and stopping them are stages, too."""
        with ExitStack() as stack:
            with self._stage("start", f"Starting {describe_services(settings)}"):
                lab = stack.enter_context(kept_lab(settings, file_paths))
            yield lab
            if not self._keep:
                with self._stage("stop", "Stopping everything"):
                    stack.close()

    @contextmanager
    def _stage(self, name: str, title: str) -> Iterator[None]:
        self._reporter.begin(title)
        with self.timeline.stage(name):
            yield
