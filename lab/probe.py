"""Asking a service whether it is there."""

import requests

_SECONDS_FOR_ANSWER = 10.0


def answers(url: str) -> bool:
    """Tell whether a GET of a URL succeeds."""
    try:
        return requests.get(url, timeout=_SECONDS_FOR_ANSWER).ok
    except requests.RequestException:
        return False
