"""Archives that were made to do harm, and those that real tools make."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from service.errors import SourceFailed
from service.sources.archives import Contents, Limits, read_archive

SMALL = Limits(
    archive_bytes=1 << 20,
    unpacked_bytes=8 << 20,
    members=50,
    file_bytes=1000,
    kept_bytes=2500,
)
Make = Callable[[Iterable[tuple[str, bytes]]], bytes]
FILES = {"a/package.json": b"{}", "a/src/x.js": b"1;" * 300, "a/é.md": b""}


async def chunks(data: bytes, size: int = 777) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def tar(files: Iterable[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as archive:
        for path, data in files:
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def wheel(files: Iterable[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for path, data in files:
            archive.writestr(path, data)
    return out.getvalue()


async def read(name: str, data: bytes, limits: Limits = SMALL) -> Contents:
    return await read_archive(name, chunks(data), lambda _path: True, limits)


@pytest.mark.parametrize(
    "form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]
)
async def test_every_form_of_tar_is_read_without_its_first_folder(form: int) -> None:
    long = "a/" + "/".join(["folder" * 4] * 6) + "/f.js"
    contents = await read("x.tgz", tar([*FILES.items(), (long, b"3")], form))
    plain = {path.removeprefix("a/"): data for path, data in FILES.items()}
    assert contents.files == plain | {long.removeprefix("a/"): b"3"}


async def test_a_wheel_is_read_with_all_its_folders() -> None:
    assert (await read("x.whl", wheel(FILES.items()))).files == FILES
    assert "package.json" in (await read("x.zip", wheel(FILES.items()))).files


async def test_only_what_is_asked_for_is_kept() -> None:
    for name, data in (("x.tgz", tar), ("x.whl", wheel)):
        contents = await read_archive(
            name, chunks(data(FILES.items())), lambda path: path.endswith("json")
        )
        assert [path.rpartition("/")[2] for path in contents.files] == ["package.json"]
        assert contents.members >= 3


@pytest.mark.parametrize(("name", "made"), [("x.tgz", tar), ("x.whl", wheel)])
async def test_long_files_are_left_out_and_counted(name: str, made: Make) -> None:
    files = [("a/long", b"x" * 1001), *((f"a/{n}", b"x" * 1000) for n in range(3))]
    contents = await read(name, made(files))
    assert len(contents.files) == 2
    assert contents.left_out == 2


@pytest.mark.parametrize(
    "path",
    [
        "../evil",
        "a/../../evil",
        "/etc/passwd",
        "a\\..\\evil",
        "C:/evil",
        "a/b\u202egpj.exe",
        "a/\x1b[2J",
        "a/" + "x" * 1100,
    ],
)
async def test_a_path_that_leaves_its_folder_refuses_the_archive(path: str) -> None:
    for name, data in (
        ("x.tgz", tar([*FILES.items(), (path, b"1")])),
        ("x.whl", wheel([*FILES.items(), (path, b"1")])),
    ):
        if name == "x.whl" and len(path) > 1000:
            continue
        with pytest.raises(SourceFailed, match="leaves its folder or hides"):
            await read(name, data)


async def test_a_link_is_not_followed() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for kind, path in ((tarfile.SYMTYPE, "a/soft"), (tarfile.LNKTYPE, "a/hard")):
            info = tarfile.TarInfo(path)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("a/file"))
    assert (await read("x.tgz", out.getvalue())).files == {"file": b""}
    linked = zipfile.ZipInfo("soft")
    linked.external_attr = 0o120777 << 16
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive_of_links:
        archive_of_links.writestr(linked, "/etc/passwd")
    assert (await read("x.whl", made.getvalue())).files == {}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.tgz", tar([("a/zeros", bytes(4 << 20))])),
        ("x.whl", wheel([("zeros", bytes(4 << 20))])),
        ("x.whl", wheel((f"{n}", bytes(1 << 20)) for n in range(9))),
    ],
)
async def test_a_bomb_is_refused_without_unpacking_it(name: str, data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(SourceFailed, match=r"unpacks to more than|no tar|ends in"):
        await read_archive(name, chunks(data), lambda _path: True, SMALL)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


async def test_a_zip_that_tells_a_smaller_size_is_refused() -> None:
    data = bytearray(wheel([("zeros", b"0" * 900)]))
    for mark, place in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        start = data.index(mark) + place
        data[start : start + 4] = (10).to_bytes(4, "little")
    with pytest.raises(SourceFailed, match="broken zip"):
        await read("x.whl", bytes(data))


@pytest.mark.parametrize(("name", "made"), [("x.tgz", tar), ("x.whl", wheel)])
async def test_too_many_members_are_refused(name: str, made: Make) -> None:
    with pytest.raises(SourceFailed, match="more than 50 members"):
        await read(name, made((f"a/{n}", b"") for n in range(51)))


@pytest.mark.parametrize("name", ["x.tgz", "x.whl"])
async def test_a_long_archive_is_refused_while_it_arrives(name: str) -> None:
    seen = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal seen
        info = tarfile.TarInfo("a/endless")
        info.size = 1 << 40
        yield gzip.compress(info.tobuf())
        while True:
            seen += 1
            yield gzip.compress(bytes(512 << 8), 0)

    with pytest.raises(SourceFailed, match=r"longer than|unpacks to"):
        await read_archive(name, endless(), lambda _path: True, SMALL)
    assert seen < 70


@pytest.mark.parametrize("cut", [0, 1, 9, 100, 200])
async def test_an_archive_that_is_cut_off_is_refused(cut: int) -> None:
    noise = bytes((n * 7919 >> 3) & 255 for n in range(900))
    for name, data in (
        ("x.tgz", tar([("a/noise", noise)])),
        ("x.whl", wheel([("noise", noise)])),
    ):
        with pytest.raises(SourceFailed):
            await read(name, data[:cut])


@pytest.mark.parametrize("data", [b"<html>", b"\x1f\x8b" + b"x" * 600, b"PK\5\6"])
@pytest.mark.parametrize("name", ["x.tgz", "x.whl", "x.tar.bz2", "x"])
async def test_what_is_no_archive_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(SourceFailed, match="the archive is refused"):
        await read(name, data)


async def test_a_long_extended_header_is_refused() -> None:
    info = tarfile.TarInfo("a/x")
    info.pax_headers = {"comment": "x" * 70_000}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(info)
    with pytest.raises(SourceFailed, match="longer than any path"):
        await read("x.tgz", out.getvalue())


async def test_of_two_files_with_one_path_the_later_counts() -> None:
    pair = [("a/package.json", b"first"), ("a/package.json", b"later")]
    assert (await read("x.tgz", tar(pair))).files == {"package.json": b"later"}


async def test_random_damage_is_refused_or_read_and_never_else() -> None:
    whole = {"x.tgz": gzip.decompress(tar(FILES.items())), "x.whl": None}
    zipped = wheel(FILES.items())
    for place in range(0, 2048, 5):
        tarred = bytearray(whole["x.tgz"] or b"")
        tarred[place] ^= 0x5A
        damaged = bytearray(zipped)
        damaged[place % len(zipped)] ^= 0x5A
        for name, data in (
            ("x.tgz", gzip.compress(bytes(tarred), 1)),
            ("x.whl", bytes(damaged)),
        ):
            try:
                await read(name, data)
            except SourceFailed:
                continue
