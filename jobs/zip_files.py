"""Entries of zip files that are the same bytes each time: no time and no owner of this machine. Pure of Django."""

from zipfile import ZIP_DEFLATED, ZipInfo


def zip_entry(name: str, *, compression: int = ZIP_DEFLATED) -> ZipInfo:
    """Return the head of a member: dated 1 January 1980, as a file that its owner may write and everybody may read."""
    entry = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type, entry.create_system, entry.external_attr = compression, 3, 0o644 << 16
    return entry
