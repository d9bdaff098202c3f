"""The check of how long URLs live."""

from ironic_ilo.check.findings import Verdict, ok, warning

# What POST of a large server, and reading the deploy ISO over a slow network, take together.
_SAFE_MINUTES = 30


def judge_lifetimes(ttl_minutes: int, callback_timeout: int) -> Verdict:
    """Judge whether URLs live as long as a deploy ramdisk may take to call back.

    :param ttl_minutes: ``[ilo]deploy_helper_images_ttl``.
    :param callback_timeout: ``[conductor]deploy_callback_timeout``, in seconds; 0: for ever.
    """
    wanted = -(-callback_timeout // 60) if callback_timeout else _SAFE_MINUTES
    waits = f"{callback_timeout / 60:g} minutes" if callback_timeout else "for ever"
    seen = f"URLs work for {ttl_minutes} minutes, and Ironic waits {waits} for the ramdisk"
    if ttl_minutes < wanted:
        return warning(
            seen,
            "POST and reading the deploy ISO must end before the URLs do: set "
            f"[ilo]deploy_helper_images_ttl to {wanted}.",
        )
    return ok(seen)
