"""A SHA-256 over nested plain values and tensors."""

import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

__all__ = ["digest"]


def digest(value: object) -> str:
    """The SHA-256 of numbers, text, lists, mappings (in their order) and tensors, as hexadecimals.

    Types count, and so do shapes; devices and strides do not.

    Example:
        >>> one, other = digest({"a": torch.ones(2, 3)}), digest({"a": torch.ones(3, 2)})
        >>> len(one), one == other, digest([1]) == digest([1.0])
        (64, False, False)
    """
    whole = hashlib.sha256()
    for part in _parts(value):
        whole.update(part)
    return whole.hexdigest()


def _parts(value: object) -> Iterator[bytes | memoryview]:
    """Bytes that tell a value from every other one."""
    if isinstance(value, Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)} ".encode()
        flat = value.detach().cpu().contiguous().reshape(-1)
        if flat.stride() != (1,):  # of a single number
            flat = flat.clone(memory_format=torch.contiguous_format)
        yield flat.view(torch.uint8).numpy().data
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)} ".encode()
        for key, one in value.items():
            yield from _parts(key)
            yield from _parts(one)
    elif isinstance(value, list | tuple):
        yield f"list {len(value)} ".encode()
        for one in value:
            yield from _parts(one)
    elif isinstance(value, str | bytes):
        content = value.encode(errors="surrogatepass") if isinstance(value, str) else value
        yield f"{type(value).__name__} {len(content)} ".encode()
        yield content
    elif value is None or isinstance(value, bool | int | float | complex):
        yield f"{type(value).__name__} {value!r} ".encode()
    else:
        yield f"{type(value).__module__}.{type(value).__name__} ".encode()
