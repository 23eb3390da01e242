"""A fixture: inputs in float32, and what float64 PyTorch makes of them.

Beside each reference stands by how much PyTorch's own float32 misses it. Numbers are uniform, from NumPy's frozen
RandomState and exact arithmetic, so that they are the same bits everywhere.
"""
import json
import pathlib
import zlib

import numpy as np
import torch

import tensor_file

FOLDER = pathlib.Path(__file__).parent / "fixtures"

# References on another machine: float64 in another order of summation.
SAME = 1e-11


def random(*name):
    """The generator of a name."""
    return np.random.RandomState(zlib.crc32("/".join(map(str, name)).encode()))


def uniform(rng, shape, mean=0.0, deviation=1.0):
    """float32 of that mean and standard deviation."""
    return (mean + deviation * 3**0.5 * (2 * rng.random_sample(shape) - 1)).astype(np.float32)


def relative_error(values, reference):
    """‖x − r‖₂ / ‖r‖₂"""
    values, reference = (np.asarray(x, dtype=np.float64).ravel() for x in (values, reference))
    return float(np.linalg.norm(values - reference) / np.linalg.norm(reference))


class Fixture:
    def __init__(self, name, settings=None):
        self.name = name
        self.settings = settings or {}
        self.tensors = {}
        self.references = {}

    def add_input(self, name, array):
        # A copy: PyTorch's tensors may share an array's memory and be changed in place.
        self.tensors[name] = np.array(array)

    def add_references(self, kind_of, compute):
        """compute(dtype) → {name: tensor}, once in float64, which is kept, and once in float32.

        kind_of(name): "output", "gradient" or "loss" says which bound holds.
        """
        exact, single = compute(torch.float64), compute(torch.float32)
        for name, tensor in exact.items():
            values = tensor.detach().numpy()
            assert values.dtype == np.float64 and name not in self.tensors, name
            assert np.isfinite(values).all() and np.abs(values).max() > 0, f"{self.name}: {name} says nothing"
            error = relative_error(single[name].detach().numpy(), values)
            self.tensors[name] = values
            self.references[name] = {"kind": kind_of(name), "float32Error": float(f"{error:.3g}")}

    @property
    def path(self):
        return FOLDER / f"{self.name}.safetensors"

    def save(self):
        metadata = {"settings": json.dumps(self.settings), "references": json.dumps(self.references)}
        self.path.write_bytes(tensor_file.serialize(self.tensors, metadata))
        errors = [entry["float32Error"] for entry in self.references.values()]
        print(
            f"{self.path.name}: {self.path.stat().st_size / 1024:.0f} KiB, {len(self.references)} references, "
            f"PyTorch's float32 misses them by {np.median(errors):.1e} (median) to {max(errors):.1e}"
        )

    def faults(self):
        """How the committed file differs from this, beyond the rounding of another machine."""
        if not self.path.exists():
            return [f"{self.path.name} is missing"]
        stored, metadata = tensor_file.read(self.path)
        faults = []
        if json.loads(metadata["settings"]) != json.loads(json.dumps(self.settings)):
            faults.append("settings differ")
        if list(stored) != list(self.tensors):
            faults.append(f"tensors differ: {sorted(set(stored) ^ set(self.tensors))[:8]}")
        references = json.loads(metadata["references"])
        if list(references) != list(self.references):
            faults.append("references differ")
        for name in [name for name in self.tensors if name in stored]:
            if name in self.references:
                faults += self.reference_faults(name, stored[name], references.get(name))
            elif not np.array_equal(stored[name], self.tensors[name]):
                faults.append(f"{name} differs")
        return [f"{self.path.name}: {fault}" for fault in faults]

    def reference_faults(self, name, stored, entry):
        if stored.shape != self.tensors[name].shape:
            return [f"{name} has shape {stored.shape}, not {self.tensors[name].shape}"]
        error = relative_error(stored, self.tensors[name])
        if not error <= SAME:
            return [f"{name} differs by {error:.1e}"]
        fresh = self.references[name]
        if entry is None or entry["kind"] != fresh["kind"]:
            return [f"{name} is of another kind"]
        # A rounding error is another on each machine; it matters only where a bound follows from it.
        was, now = (max(1e-4, 3 * error) for error in (entry["float32Error"], fresh["float32Error"]))
        return [] if was <= 2 * now else [f"{name}: PyTorch's float32 error is {fresh['float32Error']}, not {entry}"]
