"""PyTorch on the processor: ResNet50 (torchvision's) and AENet from three of them. The same protocol as protocol.mjs."""
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


def prepare(task, best):
    torch.manual_seed(0)
    if best:
        torch.set_num_threads(os.cpu_count())
    layout = torch.channels_last if best else torch.contiguous_format
    batch, size = task["batch"], task["size"]
    image = torch.randn(batch, 3, size, size).to(memory_format=layout)
    if task["network"] == "aenet":
        model = AENet()
    else:
        model = torchvision.models.resnet50(weights=None, num_classes=CLASSES)
    model = model.to(memory_format=layout)
    if task["kind"] == "forward":
        model.eval()
        with torch.no_grad():
            if best:
                model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, image)))

        def forward():
            with torch.no_grad():
                model(image)

        return forward

    emotion = torch.arange(batch) % CLASSES
    high = (torch.arange(batch) % 2).float()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        if task["network"] == "aenet":
            aes, emo = model(image)
            loss = F.binary_cross_entropy_with_logits(aes[:, 0], high) + 0.25 * F.cross_entropy(emo, emotion)
        else:
            loss = F.cross_entropy(model(image), emotion)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def resident(field):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))


def main():
    answer = lambda value: print("@" + json.dumps(value), flush=True)
    task, mode = json.loads(sys.argv[1]), sys.argv[2]
    start, before = time.perf_counter(), resident("VmRSS")
    try:
        run = prepare(task, mode == "best")
        run()
        threads = torch.get_num_threads()
        first_ms = 1000 * (time.perf_counter() - start)
        answer({"ready": f"torch {torch.__version__}, {threads} thread{'s' * (threads > 1)}", "first_ms": first_ms})
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
        start = time.perf_counter()
        run()
        answer({"ms": 1000 * (time.perf_counter() - start)})


main()
