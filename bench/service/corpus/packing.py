"""Valid and manipulated zip files."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import Final

_DATE: Final = (2020, 1, 1, 0, 0, 0)
CENTRAL: Final = b"PK\1\2"
END: Final = b"PK\5\6"


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    """An entry's header, always with the same date."""
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def zipped(
    files: Mapping[str, bytes] | Iterable[tuple[str | zipfile.ZipInfo, bytes]],
    *,
    method: int = zipfile.ZIP_DEFLATED,
    comment: bytes = b"",
) -> bytes:
    """An archive of these files, in the given order."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.comment = comment
        for name, content in files.items() if isinstance(files, Mapping) else files:
            info = entry(name) if isinstance(name, str) else name
            if method != zipfile.ZIP_DEFLATED:
                info.compress_type = method
            archive.writestr(info, content)
    return stream.getvalue()


def patched(data: bytes, magic: bytes, offset: int, form: str, value: int, *, which: int = 0) -> bytes:
    """Replace the value `offset` bytes after the occurrence number `which` of the magic number."""
    at = -1
    for _ in range(which + 1):
        at = data.index(magic, at + 1)
    changed = bytearray(data)
    struct.pack_into("<" + form, changed, at + offset, value)
    return bytes(changed)


def streamed(files: Mapping[str, bytes]) -> bytes:
    """A zip written without seeking: sizes are in descriptors after the data."""

    class OneWay(io.RawIOBase):
        def __init__(self) -> None:
            self.content = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.content += data
            return len(data)

    sink = OneWay()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            archive.writestr(entry(name), content)
    return bytes(sink.content)


def overlapping(content: bytes, count: int) -> bytes:
    """`count` directory entries that all reference the data of one."""
    single = zipped({"a": content})
    at, end = single.index(CENTRAL), single.index(END)
    record = single[at:end]
    directory = b"".join(record[:46] + b"%c" % (97 + k % 26) + record[47:] for k in range(count))
    tail = struct.pack("<4s4H2LH", END, 0, 0, count, count, len(directory), at, 0)
    return single[:at] + directory + tail


def quoted(content: bytes, count: int) -> bytes:
    """Entries whose data contains the headers of the next ones: each inflates the same kernel."""
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    kernel = packer.compress(content) + packer.flush()
    crc = zlib.crc32(content)

    def local(name: bytes, check: int, packed_size: int, size: int) -> bytes:
        return struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, check, packed_size, size, len(name), 0) + name

    body, plain, check, size = kernel, content, crc, len(content)
    headers: list[tuple[bytes, int, int, int]] = []
    for k in reversed(range(count)):
        name = b"%06d" % k
        header = local(name, check, len(body), size)
        headers.insert(0, (name, check, len(body), size))
        if k:
            quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + header
            plain = header + plain
            check, size = zlib.crc32(plain), len(plain)
            body = quote + body
            continue
        body = header + body
    directory, at = b"", 0
    for name, check, packed_size, size in headers:
        directory += (
            struct.pack(
                "<4s6H3L5H2L", CENTRAL, 20, 20, 0, 8, 0, 33, check, packed_size, size, len(name), 0, 0, 0, 0, 0, at
            )
            + name
        )
        at += 36 + 5
    tail = struct.pack("<4s4H2LH", END, 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + tail
