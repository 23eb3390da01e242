"""Safetensors files of NumPy arrays, written so that equal input gives equal bytes, and read without copying."""
import json
import mmap

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "I32": "<i4", "U8": "|u1"}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def serialize(tensors, metadata):
    """The bytes of a file: tensors by name in the given order, metadata of strings."""
    header, parts, begin = {"__metadata__": metadata}, [], 0
    for name, array in tensors.items():
        data = np.ascontiguousarray(array).tobytes()
        offsets = [begin, begin + len(data)]
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        parts.append(data)
        begin += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def read(path):
    """(tensors, metadata) of a file; the arrays are views of the mapped file."""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {
        name: np.frombuffer(
            data,
            DTYPES[entry["dtype"]],
            int(np.prod(entry["shape"], dtype=np.int64)),
            8 + length + entry["data_offsets"][0],
        ).reshape(entry["shape"])
        for name, entry in header.items()
    }
    return tensors, metadata
