"""A lab without the story: its services, and nodes that are ready to be deployed."""

from pathlib import Path

from lab.debian_image import build_debian_image
from lab.deploy_iso import build_cached_deploy_iso
from lab.instance_image import InstanceImage
from lab.keeper import kept_lab
from lab.node import Node, connected, enrol
from lab.report import Reporter
from lab.services import describe_services
from lab.settings import Settings, cache_directory, with_free_ports
from lab.sources import offer


def build_images(reporter: Reporter) -> tuple[Path, InstanceImage]:
    """Build the deploy ISO and the Debian image, unless they are cached.

    :raises Error: one could not be built.
    """
    reporter.begin("Building the deploy ISO, unless it is cached")
    deploy_iso = build_cached_deploy_iso()
    reporter.begin("Building the Debian image, unless it is cached")
    return deploy_iso, build_debian_image(cache_directory() / "mmdebstrap.log")


def bring_up(settings: Settings, reporter: Reporter) -> None:
    """Start a lab, enrol its servers, and leave it running.

    Each node is ``available``, and knows what to deploy.

    :raises Error: something failed; nothing runs then.
    """
    settings = with_free_ports(settings)
    deploy_iso, image = build_images(reporter)
    reporter.begin(f"Starting {describe_services(settings)}")
    with kept_lab(settings, [deploy_iso.parent, image.directory]) as lab:
        reporter.begin("Offering the images to Ironic")
        sources = offer(lab.services, deploy_iso, image)
        with connected(lab.services) as connection:
            for server in lab.services.servers.values():
                reporter.begin(f"Enrolling {server.name}")
                Node(connection, enrol(lab.services, server, sources)).assign(sources)
        lab.leave_running()
