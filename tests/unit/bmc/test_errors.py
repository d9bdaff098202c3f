"""Every error of a library comes out as one of ours."""

import inspect
from urllib.error import URLError

import pytest
from proliantutils import exception as proliant

from ironic_ilo.bmc.errors import translated
from ironic_ilo.exception import BmcError, BmcFeatureMissing, BmcLoginFailed, BmcUnreachable

SECRET = "http://192.0.2.1/secret.iso"
PROLIANTUTILS_ERRORS = [
    member
    for _name, member in inspect.getmembers(proliant, inspect.isclass)
    if issubclass(member, Exception)
]


def make(error: type[Exception]) -> Exception:
    """Make an error that carries a URL, whatever its constructor takes."""
    if issubclass(error, proliant.RedfishError):
        return error()
    return error(SECRET)


@pytest.mark.parametrize("error", PROLIANTUTILS_ERRORS)
def test_every_error_of_proliantutils_is_translated(error):
    with pytest.raises(BmcError) as caught, translated("iLO x:443", "do it"):
        raise make(error)
    assert str(caught.value).startswith("iLO x:443: could not do it: ")
    assert SECRET not in str(caught.value)
    assert caught.value.hint
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (proliant.IloLoginFailError, BmcLoginFailed),
        (proliant.IloConnectionError, BmcUnreachable),
        (proliant.IloClientInternalError, BmcUnreachable),
        (proliant.IloCommandNotSupportedError, BmcFeatureMissing),
        (proliant.IloCommandNotSupportedInBiosError, BmcFeatureMissing),
        (URLError, BmcUnreachable),
        (AttributeError, BmcUnreachable),
        (IndexError, BmcUnreachable),
    ],
)
def test_the_kind_of_error(error, ours):
    with pytest.raises(ours) as caught, translated("iLO x:443", "do it"):
        raise error("x")
    assert type(caught.value) is ours


def test_our_own_errors_pass():
    with pytest.raises(BmcError, match=r"^mine$"), translated("iLO x:443", "do it"):
        raise BmcError("mine")
