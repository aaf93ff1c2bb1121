"""A body becomes what it was before it was compressed, or is refused before it takes more memory than it may."""

import gzip
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract import MAX_INFLATED_BYTES
from services.kit import body
from services.kit.body import ENCODINGS, Corrupt, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}

every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


def _inflated(content: bytes, encoding: str, most: int = MAX_INFLATED_BYTES) -> bytes:
    return body.inflated(content, encoding, most=most)


@every_encoding
@given(content=st.binary(max_size=20_000))
def test_what_was_compressed_comes_back(encoding: str, content: bytes) -> None:
    assert _inflated(COMPRESS[encoding](content), encoding) == content


@every_encoding
def test_a_large_body_comes_back_whole(encoding: str) -> None:
    content = random.Random(7).randbytes(1024 * 1024) + bytes(1024 * 1024)

    assert _inflated(COMPRESS[encoding](content), encoding) == content


@every_encoding
@given(parts=st.lists(st.binary(max_size=6_000), min_size=1, max_size=6))
def test_several_parts_are_one_body(encoding: str, parts: list[bytes]) -> None:
    sent = b"".join(map(COMPRESS[encoding], parts))

    assert _inflated(sent, encoding) == b"".join(parts)


@every_encoding
def test_a_body_of_more_parts_than_events_is_refused(encoding: str) -> None:
    part = COMPRESS[encoding](b"")

    assert _inflated(part * 5_000, encoding) == b""
    with pytest.raises(Corrupt):
        _inflated(part * 5_001, encoding)


@every_encoding
def test_a_body_may_be_as_large_as_the_limit_and_not_one_byte_larger(encoding: str) -> None:
    sent = COMPRESS[encoding](bytes(10_000))

    assert len(_inflated(sent, encoding, 10_000)) == 10_000
    with pytest.raises(TooLarge):
        _inflated(sent, encoding, 9_999)


@every_encoding
def test_the_limit_holds_for_all_parts_together(encoding: str) -> None:
    with pytest.raises(TooLarge):
        _inflated(COMPRESS[encoding](bytes(6_000)) * 2, encoding, 10_000)


@every_encoding
def test_a_bomb_is_refused_before_more_than_the_limit_was_made_of_it(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(100 * MAX_INFLATED_BYTES))
    tracemalloc.start()

    with pytest.raises(TooLarge):
        _inflated(bomb, encoding)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MAX_INFLATED_BYTES


def test_a_zstd_window_that_would_take_more_memory_than_usual_is_refused() -> None:
    content = random.Random(7).randbytes(100_000)
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 24, zstd.CompressionParameter.content_size_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    sent = compressor.compress(content, zstd.ZstdCompressor.FLUSH_BLOCK) + compressor.flush()

    with pytest.raises(Corrupt, match="too much memory"):
        _inflated(sent, "zstd")


@every_encoding
@pytest.mark.parametrize(
    "broken",
    [
        lambda _: b"",
        lambda _: b"[]",
        lambda sent: sent[:-1],
        lambda sent: sent[: len(sent) // 2],
        lambda sent: sent + b"\0",
        lambda sent: sent + b"[]",
        lambda sent: sent + sent[:5],
        lambda sent: sent[:20] + bytes([sent[20] ^ 255]) + sent[21:],
    ],
    ids=[
        "empty",
        "plain",
        "cut by one",
        "cut in half",
        "a zero more",
        "text behind",
        "half a part behind",
        "a bad byte",
    ],
)
def test_what_cannot_be_decompressed_whole_is_corrupt(encoding: str, broken: Callable[[bytes], bytes]) -> None:
    sent = {
        "gzip": gzip.compress(b"the same again, the same again" * 9),
        "zstd": zstd.compress(
            b"the same again, the same again" * 9, options={zstd.CompressionParameter.checksum_flag: 1}
        ),
    }[encoding]

    with pytest.raises(Corrupt):
        _inflated(broken(sent), encoding)


def test_a_stream_of_zlib_is_no_gzip() -> None:
    with pytest.raises(Corrupt):
        _inflated(zlib.compress(b"[]"), "gzip")


@every_encoding
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_body_or_corrupt(encoding: str, content: bytes) -> None:
    try:
        _inflated(content, encoding)
    except Corrupt:
        return
    assert content
