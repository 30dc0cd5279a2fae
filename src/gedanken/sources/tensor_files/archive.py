"""The directory of a zip archive: `.npz` files and PyTorch's files are such archives."""

import struct
import zipfile
import zlib

from gedanken.sources.tensor_files.checks import shown
from gedanken.sources.tensor_files.file_bytes import FileBytes
from gedanken.status import Failure

_FIRST = b"PK\3\4"

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
"""What zipfile raises on a broken directory or member, an unknown compression or an encrypted member."""


def is_archive(file: FileBytes) -> bool:
    """Whether the file begins as a zip archive does. Raises Failure if it cannot be read."""
    try:
        return file.size > len(_FIRST) and file.read(0, len(_FIRST)) == _FIRST
    except (OSError, EOFError) as error:
        raise Failure(f"{file.path} could not be read: {error}.") from error


def members(file: FileBytes) -> list[zipfile.ZipInfo]:
    """The archive's members. Raises Failure if the file is no zip archive or its directory is broken."""
    try:
        with file.open() as stream, zipfile.ZipFile(stream) as archive:
            return archive.infolist()
    except ZIP_ERRORS as error:
        raise Failure(f"{file.path} could not be read as an archive: {shown(str(error))}.") from error


def fingerprint(file: FileBytes) -> str:
    """The file's fingerprint with every member's name, size and checksum, which cover the whole content."""
    listed = members(file)
    directory = "\n".join(f"{member.filename} {member.file_size} {member.CRC}" for member in listed)
    return file.fingerprint(offsets=[member.header_offset for member in listed], note=directory)
