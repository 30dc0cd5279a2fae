"""The directory of a zip archive: `.npz` files and PyTorch's files are such archives."""

import zipfile

from gedanken.sources.tensor_files.checks import shown
from gedanken.sources.tensor_files.file_bytes import FileBytes
from gedanken.status import Failure

ZIP_ERRORS = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)
"""What zipfile raises on a broken directory, an unknown compression or an encrypted member."""


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
