"""PyTorch's side of `npm run parity`: the same network, weights and batches, in float64 and in float32.

    python3 scripts/parity.py FOLDER

Reads what scripts/parity.ts left in FOLDER (settings, start, batches, our outputs), prints a line where it needs our
next tensors there, reads a line when they are, and writes rows.json: the relative errors of every tensor against float64.
"""
import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "test" / "golden"))

import numpy as np
import torch
from torch.nn import functional as F
from torchvision.models.resnet import Bottleneck

import reference
import tensor_file

folder = pathlib.Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text())
read = lambda name: tensor_file.read(folder / f"{name}.safetensors")[0]


def create():
    arch, classes = settings["arch"], settings["classes"]
    task = arch[-3:]
    outputs = 1 if task == "aes" else classes
    networks = {
        "aenet": lambda: reference.AENet(classes),
        "csnet": lambda: reference.CSNet(classes),
        "ssnet": lambda: reference.SSNet(classes),
        "resnet50-aes": lambda: reference.SingleStream(task, outputs),
        "resnet50-emo": lambda: reference.SingleStream(task, outputs),
        "wrn-aes": lambda: reference.SingleStream(task, outputs, base_width=132),
        "wrn-emo": lambda: reference.SingleStream(task, outputs, base_width=132),
    }
    if arch not in networks:
        raise SystemExit(f"--arch {arch}: PyTorch's side has {', '.join(networks)}")
    return networks[arch]()


class Side:
    """A network in one precision. Without oneDNN PyTorch sums its convolutions in another order."""

    def __init__(self, dtype, one_dnn=True):
        self.dtype, self.one_dnn = dtype, one_dnn
        self.model = create().to(dtype)
        reference.load(self.model, read("start"))
        rates = settings["rates"]
        self.sgd = reference.optimizer(
            self.model, rates["base"], rates["fusion"], settings["momentum"], settings["weightDecay"]
        )

    def images(self, batch):
        images, crops = batch["images"].astype(np.uint8), batch["crops"].astype(np.int64)
        return reference.preprocess(images, crops, settings["imageSize"], self.dtype)

    def evaluate(self, batch):
        with torch.backends.mkldnn.flags(enabled=self.one_dnn), torch.no_grad():
            logits = self.model.eval()(self.images(batch))
        return {f"{task} logits": x for task, x in logits.items()}

    def step(self, batch):
        """Losses and gradients."""
        aes, emo = (torch.tensor(batch[f"{task} labels"]) for task in ("aes", "emo"))
        with torch.backends.mkldnn.flags(enabled=self.one_dnn):
            self.model.train().zero_grad()
            found = reference.losses(self.model(self.images(batch)), aes, emo, settings["lambda"])
            found["loss"].backward()
        gradients = {f"d({name})": p.grad for name, p in self.model.named_parameters()}
        return {**{f"loss {key}": x.detach() for key, x in found.items()}, **gradients}

    def shift(self, shifts):
        parameters = dict(self.model.named_parameters())
        for name, by in shifts.items():
            parameters[name].data += by.to(self.dtype)

    def after(self):
        momenta = {
            f"momentum of {name}": self.sgd.state[p]["momentum_buffer"] for name, p in self.model.named_parameters()
        }
        return {**reference.named_state(self.model), **momenta}


# By how much a bias may be moved out of the way of kinks.
FARTHEST = 0.05


def middles(z):
    """For each channel of [N, C, H, W] what to add so that 0 is as far from all values as it can be."""
    values = z.transpose(0, 1).flatten(1).sort(dim=1).values
    values = torch.cat([values[:, :1] - 1, values, values[:, -1:] + 1], dim=1)
    low, high = values[:, :-1], values[:, 1:]
    # The best place that can be reached in each gap; negative distances where that lies outside.
    place = ((low + high) / 2).clamp(-FARTHEST, FARTHEST)
    best = torch.minimum(place - low, high - place).max(dim=1).indices
    return -place.gather(1, best[:, None])[:, 0].float().double()


def nearest_tie(pool, x):
    """The smallest distance between the two largest values of a max pool's window."""
    x = F.pad(x, [pool.padding] * 4, value=-np.inf)
    windows = x.unfold(2, pool.kernel_size, pool.stride).unfold(3, pool.kernel_size, pool.stride).flatten(4)
    first, second = windows.topk(2, dim=4).values.unbind(4)
    return float((first - second)[first > 0].min())


def leave_kinks(model, images):
    """Shifts of the biases before all ReLUs, by name, after which none of their inputs lies within rounding of 0.

    And how near a max pool comes to a tie, which no bias can change.
    """
    names = {module: name for name, module in model.named_modules()}
    shifts, ties, handles = {}, [], []

    def watch(relu, before):
        calls = iter(before)

        def shift(_, inputs):
            norm, (z,) = next(calls), inputs
            shifts[f"{names[norm]}.bias"] = by = middles(z)
            return (z + by.view(1, -1, 1, 1),)

        handles.append(relu.register_forward_pre_hook(shift))

    for module in model.modules():
        if isinstance(module, reference.Trunk):
            watch(module.relu, [module.bn1])
            see = lambda pool, inputs: ties.append(nearest_tie(pool, inputs[0]))
            handles.append(module.maxpool.register_forward_pre_hook(see))
        elif isinstance(module, Bottleneck):
            watch(module.relu, [module.bn1, module.bn2, module.bn3])
    batch_norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in batch_norms:
        norm.momentum = 0.0
    with torch.no_grad():
        model.train()(images)
    for norm in batch_norms:
        norm.momentum = 0.1
    for handle in handles:
        handle.remove()
    return shifts, min(ties)


def ask_for(what):
    """Our side's turn."""
    print(what, flush=True)
    if sys.stdin.readline() == "":
        raise SystemExit("npm run parity ended")


def error(values, exact):
    values = torch.tensor(values) if isinstance(values, np.ndarray) else values
    return float((values.reshape(exact.shape).double() - exact).norm() / exact.norm())


def compare(phase, ours, exact, *singles):
    missing = set(ours) ^ set(exact)
    if missing:
        raise SystemExit(f"{phase}: only one side has {sorted(missing)[:5]}")
    for name, x in exact.items():
        errors = [error(side[name], x) for side in (ours, *singles)]
        rows.append({"phase": phase, "tensor": name, **dict(zip(["ours", "float32", "otherFloat32"], errors))})


rows = []
sides = [Side(torch.float64), Side(torch.float32)]
if settings["otherOrder"]:
    sides.append(Side(torch.float32, one_dnn=False))
first = read("batch-0")
compare("evaluation", read("evaluation"), *(side.evaluate(first) for side in sides))
for i in range(settings["steps"]):
    batch = read(f"batch-{i}")
    shifts, tie = leave_kinks(sides[0].model, sides[0].images(batch))
    for side in sides:
        side.shift(shifts)
    arrays = {name: by.float().numpy() for name, by in shifts.items()}
    (folder / f"shift-{i}.safetensors").write_bytes(tensor_file.serialize(arrays, {}))
    print(f"step {i + 1}: the nearest tie of a max pool is {tie:.0e}", file=sys.stderr)
    ask_for(f"step {i}")
    compare(f"step {i + 1}", read(f"step-{i}"), *(side.step(batch) for side in sides))
    for side in sides:
        side.sgd.step()
ask_for("after")
compare("after", read("after"), *(side.after() for side in sides))
(folder / "rows.json").write_text(json.dumps(rows))
