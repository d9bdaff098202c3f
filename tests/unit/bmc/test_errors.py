"""Every error of a library comes out as one of ours."""

import inspect
from urllib.error import URLError

import pytest
from proliantutils import exception as proliant
from sushy import exceptions as sushy

from ironic_ilo.bmc.errors import RefusalError, translated
from ironic_ilo.bmc.messages import RestRefusalError
from ironic_ilo.exception import (
    BmcBusy,
    BmcError,
    BmcFeatureMissing,
    BmcLoginFailed,
    BmcUnreachable,
)

SECRET = "http://192.0.2.1/secret.iso"
PROLIANTUTILS_ERRORS = [
    member
    for _name, member in inspect.getmembers(proliant, inspect.isclass)
    if issubclass(member, Exception)
]


SUSHY_ERRORS = [
    member
    for _name, member in inspect.getmembers(sushy, inspect.isclass)
    if issubclass(member, Exception) and not issubclass(member, sushy.HTTPError)
]


def make(error: type[Exception]) -> Exception:
    """Make an error that carries a URL, whatever its constructor takes."""
    if issubclass(error, proliant.RedfishError):
        return error()
    return error(SECRET)


@pytest.mark.parametrize("error", PROLIANTUTILS_ERRORS + SUSHY_ERRORS)
def test_every_error_of_the_libraries_is_translated(error):
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
        (sushy.MissingActionError, BmcFeatureMissing),
        (sushy.MissingAttributeError, BmcFeatureMissing),
        (sushy.InvalidParameterValueError, BmcFeatureMissing),
        (sushy.MalformedAttributeError, BmcUnreachable),
        (URLError, BmcUnreachable),
        (AttributeError, BmcUnreachable),
        (IndexError, BmcUnreachable),
    ],
)
def test_the_kind_of_error(error, ours):
    with pytest.raises(ours) as caught, translated("iLO x:443", "do it"):
        raise error("x")
    assert type(caught.value) is ours


@pytest.mark.parametrize(
    ("status", "text", "ours"),
    [
        (0x0001, "The server is in POST.", BmcBusy),
        (0x0001, "Settings cannot be modified while the server is in POST.", BmcBusy),
        (0x0001, "iLO is busy.", BmcBusy),
        (0x0001, "Another operation is in progress.", BmcBusy),
        (0x0001, "Please try again later.", BmcBusy),
        (0x0001, "Power-on self test is running.", BmcBusy),
        (0x0001, "Business as usual, but no posting.", BmcError),
        (0x005F, "Login failed.", BmcLoginFailed),
        (0x000A, "User login name was not found", BmcLoginFailed),
        (0x0001, "Login credentials rejected.", BmcLoginFailed),
        (0x0023, "User does NOT have correct privilege for action.", BmcError),
        (0x002E, "License key error", BmcFeatureMissing),
        (0x0001, "This feature requires an iLO Advanced license.", BmcFeatureMissing),
        (0x003C, "Feature not supported - GET_PENDING_BOOT_MODE", BmcFeatureMissing),
        (0x0001, "syntax error", BmcFeatureMissing),
        (0x0001, "Error: RIBCLI is disabled.", BmcFeatureMissing),
        (0x0035, "An invalid Virtual Media option has been given.", BmcError),
    ],
)
def test_what_a_refusal_is(status, text, ours):
    with pytest.raises(BmcError) as caught, translated("iLO x:443", "do it"):
        raise RefusalError(status, text)
    assert type(caught.value) is ours
    assert f"could not do it: it says {text!r} (0x{status:04X})" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("status", "messages", "ours", "hint"),
    [
        (400, ["UnauthorizedLoginAttempt"], BmcLoginFailed, "ilo_password"),
        (400, ["LoginAttemptDelayed"], BmcLoginFailed, "ilo_password"),
        (401, [], BmcLoginFailed, "ilo_password"),
        (403, [], BmcError, "privilege"),
        (404, [], BmcFeatureMissing, "firmware"),
        (503, [], BmcBusy, "POST"),
        (400, ["Whatever", "LicenseKeyRequired"], BmcFeatureMissing, "licence"),
        (400, ["UnsupportedOperation"], BmcFeatureMissing, "firmware"),
        (400, ["VirtualMediaIsDisabled"], BmcFeatureMissing, "virtual media"),
        (400, ["UnableToModifyDuringSystemPOST"], BmcBusy, "POST"),
        (400, ["ResourceNotReadyRetry"], BmcBusy, "POST"),
        (503, ["SessionLimitExceeded"], BmcBusy, "sessions"),
        (400, ["CreateLimitReachedForResource"], BmcBusy, "sessions"),
        (400, ["Whatever"], BmcError, "event log"),
        (500, [], BmcError, "event log"),
    ],
)
def test_what_a_refusal_over_rest_is(status, messages, ours, hint):
    with pytest.raises(BmcError) as caught, translated("iLO x:443", "do it"):
        raise RestRefusalError(status, messages)
    assert type(caught.value) is ours
    words = ", ".join(messages) or "nothing more"
    assert f"could not do it: it says {words} (HTTP status {status})" in str(caught.value)
    assert hint in caught.value.hint


def test_our_own_errors_pass():
    with pytest.raises(BmcError, match=r"^mine$"), translated("iLO x:443", "do it"):
        raise BmcError("mine")
