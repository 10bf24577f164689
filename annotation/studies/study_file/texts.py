"""Reading a text file that somebody wrote."""

from pathlib import Path

from jobs.refusals import Refused


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark. Refused where it is not one."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not a text file in UTF-8 (byte {error.start}); save it as UTF-8.") from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:  # a name with a zero byte
        raise Refused(f"{str(path)!r} is not the name of a file.") from None
