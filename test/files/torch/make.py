"""Makes the torch files that pth.test.ts reads, and what is in them: python3 test/files/torch/make.py

Written with PyTorch 1.13.1 and torchvision 0.14.1 (Debian's python3-torch and python3-torchvision).
"""

import collections
import json
import os
import zipfile

import torch
import torchvision

here = os.path.dirname(os.path.abspath(__file__))
path = lambda name: os.path.join(here, name)


def sample():
    """Every dtype, and every way in which a tensor can lie in its storage."""
    numbers = torch.arange(24, dtype=torch.float32) / 7
    tensors = collections.OrderedDict()
    tensors["conv1.weight"] = numbers[:12].clone().reshape(2, 3, 2, 1)
    tensors["bn1.num_batches_tracked"] = torch.tensor(3)
    tensors["transposed"] = numbers[:6].clone().reshape(2, 3).t()
    tensors["channels_last"] = numbers.clone().reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    tensors["row"], tensors["rows"] = numbers.reshape(4, 6)[2], numbers.reshape(4, 6)[1:3]
    tensors["every_third"] = numbers[1::3]
    tensors["parameter"] = torch.nn.Parameter(torch.tensor([0.5, -2.0]))
    tensors["empty"] = torch.zeros(0, 4)
    tensors["scalar"] = torch.tensor(-0.25)
    for dtype in ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8"):
        tensors[dtype] = torch.tensor([1.5, -3.0, 100.0]).to(getattr(torch, dtype))
    tensors["uint8"] = torch.tensor([1, 200], dtype=torch.uint8)
    tensors["bool"] = torch.tensor([True, False])
    tensors["half_transposed"] = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).half().t()
    return tensors


def deflate(source, target):
    with zipfile.ZipFile(path(source)) as old, zipfile.ZipFile(path(target), "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)


class Command:
    def __reduce__(self):
        return os.system, ("echo executed > executed",)


torch.manual_seed(0)
tensors = sample()
torch.save(tensors, path("tensors.pth"))
torch.save(tensors, path("tensors-legacy.pth"), _use_new_zipfile_serialization=False)
deflate("tensors.pth", "tensors-deflated.pth")

model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1, bias=False), torch.nn.BatchNorm2d(2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
model(torch.randn(3, 1, 2, 2)).square().sum().backward()
optimizer.step()
parallel = torch.nn.DataParallel(model)
run = {
    "epoch": 3,
    "arch": "tiny",
    "best_acc1": torch.tensor(71.5),
    "state_dict": parallel.state_dict(),
    "optimizer": optimizer.state_dict(),
}
torch.save(run, path("run.pth"))
torch.save({"model": model.state_dict(), "epoch": 2**40}, path("run-legacy.pth"), _use_new_zipfile_serialization=False)

torch.save(model, path("whole-module.pth"))
torch.save({"weight": torch.zeros(1), "hook": Command()}, path("executes.pth"))
torch.save({"weight": torch.zeros(1), "hook": Command()}, path("executes-legacy.pth"), _use_new_zipfile_serialization=False)
torch.save(tensors, path("protocol-4.pth"), pickle_protocol=4)
torch.jit.save(torch.jit.script(torch.nn.Identity()), path("script.pth"))

describe = lambda tensors: {
    name: {"shape": list(tensor.shape), "data": tensor.detach().float().contiguous().flatten().tolist()}
    for name, tensor in tensors.items()
}
with open(path("expected.json"), "w") as file:
    json.dump({"tensors": describe(tensors), "model": describe(model.state_dict())}, file, indent=1)
    file.write("\n")
with open(path("resnet50-shapes.json"), "w") as file:
    names = torchvision.models.resnet50().state_dict().items()
    file.write("{\n" + ",\n".join(f"  {json.dumps(name)}: {list(value.shape)}" for name, value in names) + "\n}\n")
