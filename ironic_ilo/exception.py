"""The errors of this package, free of Ironic so that the command line can use them.

::

    Error                       the root; ``str()`` is "what failed. What to do next."
    +-- InvalidInput            the caller's mistake; nothing has been touched yet
    +-- BmcError                the iLO's side; what was asked did not happen
    |   +-- BmcUnreachable      no (valid) answer within the deadline; its state is unknown
    |   +-- BmcLoginFailed      user name or password refused; never retried
    |   +-- BmcFeatureMissing   the licence or the firmware does not offer it
    |   +-- BmcBusy             refused (POST, typically) until the deadline
    |   +-- BmcStateMismatch    accepted, yet a read-back shows another state
    +-- ImageError              an image is not what it should be, or could not be made
    +-- StoreError              publishing, or removing, a file failed
    +-- DiskError               the node's disk could not be reached, laid out or written
    +-- ProcessError            a program failed, or did not end in time

``ironic_ilo.ironic_errors`` turns these into Ironic's, once, at the interfaces.
"""


class Error(Exception):
    """The root of this package's errors.

    :param message: what failed, on which node, file or URL, and what came back.
    :param hint: what to do next, as a sentence; empty when the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message.rstrip()
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        stop = "" if self.message.endswith((".", "!", "?")) else "."
        return f"{self.message}{stop} {self.hint}"


class InvalidInput(Error):
    """The caller's mistake, found before the first side effect."""


class BmcError(Error):
    """The iLO did not do what was asked."""


class BmcUnreachable(BmcError):
    """No valid answer within the deadline: whether a command took effect is unknown."""


class BmcLoginFailed(BmcError):
    """The iLO refused the user name or the password."""


class BmcFeatureMissing(BmcError):
    """The iLO's licence or firmware does not offer what was asked."""


class BmcBusy(BmcError):
    """The iLO refused until the deadline, typically because the server is in POST."""


class BmcStateMismatch(BmcError):
    """The iLO accepted a change, yet reading it back shows another state."""


class ImageError(Error):
    """An image is not what it should be, or could not be made."""


class StoreError(Error):
    """Publishing, reading or removing an object failed."""


class DiskError(Error):
    """The node's disk could not be reached, laid out or written."""


class ProcessError(Error):
    """A program failed, or did not end within its deadline.

    :ivar exit_code: its exit code; ``None`` when it was killed at the deadline or not found.
    """

    def __init__(self, message: str, *, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
