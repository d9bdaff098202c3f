"""The lists of names that people edit."""

from ironic_ilo.exception import InvalidInput


def read_names(text: str) -> tuple[str, ...]:
    """Read the names in a list; ``#`` starts a comment.

    :raises InvalidInput: a name stands in it twice.
    """
    names = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InvalidInput(f"Named twice in a list: {', '.join(doubled)}")
    return tuple(names)
