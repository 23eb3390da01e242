"""PyTorch, any version from 1.13: ResNet50 (torchvision's) and AENet from three of them. The same protocol as protocol.mjs.

    pytorch.py TASK plain      on the processor, as it comes
    pytorch.py TASK best       a thread a processor, channels last, a frozen graph in evaluation
    pytorch.py TASK cuda       eager float32 on the first CUDA device, TF32 off
    pytorch.py TASK cuda-amp   mixed precision there: autocast to float16, GradScaler, channels last
"""
import contextlib
import json
import os
import sys
import time

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

CLASSES = 8


class AENet(nn.Module):
    """Three trunks that meet after the stem and after every layer, and two heads."""

    def __init__(self):
        super().__init__()
        self.streams = nn.ModuleList(torchvision.models.resnet50(weights=None) for _ in range(3))
        for stream in self.streams:
            stream.fc = nn.Identity()
        self.fusion = nn.ParameterList(nn.Parameter(torch.tensor([0.9, 0.1, 0.9, 0.1])) for _ in range(5))
        self.aesthetics = nn.Linear(4096, 1)
        self.emotion = nn.Linear(4096, CLASSES)

    def forward(self, image):
        f = [s.maxpool(s.relu(s.bn1(s.conv1(image)))) for s in self.streams]
        for point, weights in enumerate(self.fusion):
            if point > 0:
                f = [getattr(s, f"layer{point}")(x) for s, x in zip(self.streams, f)]
            alpha_p, alpha_s, beta_p, beta_s = weights
            a, s, e = f
            f = [alpha_p * a + alpha_s * s, s, beta_p * e + beta_s * s]
        a, s, e = (x.mean((2, 3)) for x in f)
        return self.aesthetics(torch.cat([s, a], 1)), self.emotion(torch.cat([s, e], 1))


def device_of(mode):
    """The device of a mode, set up for it. Raises RuntimeError where it is CUDA and there is none."""
    if not mode.startswith("cuda"):
        if mode == "best":
            torch.set_num_threads(os.cpu_count())
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise RuntimeError(f"no CUDA device (torch {torch.__version__}, {built})")
    # Ours rounds no operand to TF32's ten bits.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # The sizes never change; ours measures its kernels, too.
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda")


def prepare(task, mode, device):
    torch.manual_seed(0)
    layout = torch.channels_last if mode in ("best", "cuda-amp") else torch.contiguous_format
    is_mixed = mode == "cuda-amp"
    precision = torch.autocast("cuda", dtype=torch.float16) if is_mixed else contextlib.nullcontext()
    batch, size = task["batch"], task["size"]
    image = torch.randn(batch, 3, size, size).to(device).to(memory_format=layout)
    if task["network"] == "aenet":
        model = AENet()
    else:
        model = torchvision.models.resnet50(weights=None, num_classes=CLASSES)
    model = model.to(device).to(memory_format=layout)
    if task["kind"] == "forward":
        model.eval()
        with torch.no_grad():
            if mode == "best":
                model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, image)))

        def forward():
            with torch.no_grad(), precision:
                model(image)

        return forward

    emotion = (torch.arange(batch) % CLASSES).to(device)
    high = (torch.arange(batch) % 2).float().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    # Without mixed precision it hands everything through.
    scaler = torch.cuda.amp.GradScaler(enabled=is_mixed)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with precision:
            if task["network"] == "aenet":
                aes, emo = model(image)
                loss = F.binary_cross_entropy_with_logits(aes[:, 0], high) + 0.25 * F.cross_entropy(emo, emotion)
            else:
                loss = F.cross_entropy(model(image), emotion)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        loss.item()

    return step


def describe(device):
    if device.type == "cuda":
        return f"torch {torch.__version__}, {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return f"torch {torch.__version__}, {threads} thread{'s' * (threads > 1)}"


def resident(field):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))


def main():
    answer = lambda value: print("@" + json.dumps(value), flush=True)
    task, mode = json.loads(sys.argv[1]), sys.argv[2]
    start, before = time.perf_counter(), resident("VmRSS")
    try:
        device = device_of(mode)
        # A kernel that is launched has not run yet.
        finish = torch.cuda.synchronize if device.type == "cuda" else lambda: None
        run = prepare(task, mode, device)
        run()
        finish()
        answer({"ready": describe(device), "first_ms": 1000 * (time.perf_counter() - start)})
    except Exception as error:
        answer({"error": str(error).split("\n")[0]})
        sys.exit(1)
    for line in sys.stdin:
        if line.strip() == "memory":
            # Everything the process gained since the libraries were loaded.
            answer({"bytes": resident("VmHWM") - before})
            continue
        if line.strip() != "run":
            break
        finish()
        start = time.perf_counter()
        run()
        finish()
        answer({"ms": 1000 * (time.perf_counter() - start)})


main()
