"""AENet and its parts in PyTorch, from torchvision's ResNet: what the engine is held against.

`state_dict()` has the names of our checkpoints, and `num_batches_tracked` besides.
"""
import torch
import torchvision.transforms.functional as transforms
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import Bottleneck, ResNet

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_DEVIATION = [0.229, 0.224, 0.225]


class Trunk(ResNet):
    """torchvision's ResNet up to layer4 with any number of channels in the stem (torchvision's own has always 64)."""

    def __init__(self, depth=(3, 4, 6, 3), base_channels=64, base_width=64):
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.inplanes, self.dilation, self.groups, self.base_width = base_channels, 1, 1, base_width
        self.conv1 = nn.Conv2d(3, base_channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for i, blocks in enumerate(depth):
            layer = self._make_layer(Bottleneck, base_channels * 2**i, blocks, stride=1 if i == 0 else 2)
            setattr(self, f"layer{i + 1}", layer)
        self.features = self.inplanes

    def stem(self, x):
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))

    def stages(self):
        """The five parts after which streams may be fused."""
        return [self.stem, self.layer1, self.layer2, self.layer3, self.layer4]

    def forward(self, x):
        for stage in self.stages():
            x = stage(x)
        return x


class Fusion(nn.Module):
    """Eq. 2; with `detach_shared` the fused streams give f_s no gradient."""

    def __init__(self, channels, granularity="scalar", detach_shared=False):
        super().__init__()
        size = channels if granularity == "channel" else 1
        self.alpha_p = nn.Parameter(torch.full((size,), 0.9))
        self.alpha_s = nn.Parameter(torch.full((size,), 0.1))
        self.beta_p = nn.Parameter(torch.full((size,), 0.9))
        self.beta_s = nn.Parameter(torch.full((size,), 0.1))
        self.detach_shared = detach_shared

    def forward(self, a, s, e):
        alpha_p, alpha_s, beta_p, beta_s = (
            weight.view(1, -1, 1, 1) for weight in (self.alpha_p, self.alpha_s, self.beta_p, self.beta_s)
        )
        shared = s.detach() if self.detach_shared else s
        return alpha_p * a + alpha_s * shared, s, beta_s * shared + beta_p * e


class AENet(nn.Module):
    """The paper's Figure 2: three streams, fused after the stem and after each layer, and two heads."""

    def __init__(self, classes, depth=(3, 4, 6, 3), base_channels=64, granularity="scalar", detach_shared=False):
        super().__init__()
        self.a, self.s, self.e = (Trunk(depth, base_channels) for _ in range(3))
        channels = [base_channels, *(4 * base_channels * 2**i for i in range(4))]
        self.fusion = nn.ModuleList(Fusion(c, granularity, detach_shared) for c in channels)
        features = 2 * self.a.features
        self.head = nn.ModuleDict({"aes": nn.Linear(features, 1), "emo": nn.Linear(features, classes)})

    def forward(self, x):
        a = s = e = x
        stages = zip(self.a.stages(), self.s.stages(), self.e.stages())
        for (stage_a, stage_s, stage_e), fusion in zip(stages, self.fusion):
            a, s, e = fusion(stage_a(a), stage_s(s), stage_e(e))
        v_a, v_s, v_e = (f.mean(dim=(2, 3)) for f in (a, s, e))
        aes = self.head["aes"](torch.cat([v_s, v_a], dim=1))
        emo = self.head["emo"](torch.cat([v_s, v_e], dim=1))
        return {"aes": aes, "emo": emo}


class Stitch(nn.Module):
    """A cross-stitch unit: [ã; ẽ] = W · [a; e]."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.9, 0.1], [0.1, 0.9]]))

    def forward(self, a, e):
        (a_from_a, a_from_e), (e_from_a, e_from_e) = self.weight
        return a_from_a * a + a_from_e * e, e_from_a * a + e_from_e * e


class CSNet(nn.Module):
    """Two streams, cross-stitched after the stem and after each layer, and a head on each."""

    def __init__(self, classes, depth=(3, 4, 6, 3), base_channels=64):
        super().__init__()
        self.a, self.e = (Trunk(depth, base_channels) for _ in range(2))
        self.stitch = nn.ModuleList(Stitch() for _ in range(5))
        features = self.a.features
        self.head = nn.ModuleDict({"aes": nn.Linear(features, 1), "emo": nn.Linear(features, classes)})

    def forward(self, x):
        a = e = x
        for stage_a, stage_e, stitch in zip(self.a.stages(), self.e.stages(), self.stitch):
            a, e = stitch(stage_a(a), stage_e(e))
        return {"aes": self.head["aes"](a.mean(dim=(2, 3))), "emo": self.head["emo"](e.mean(dim=(2, 3)))}


class SSNet(Trunk):
    """One stream with both heads."""

    def __init__(self, classes, depth=(3, 4, 6, 3), base_channels=64):
        super().__init__(depth, base_channels)
        self.head = nn.ModuleDict({"aes": nn.Linear(self.features, 1), "emo": nn.Linear(self.features, classes)})

    def forward(self, x):
        v = super().forward(x).mean(dim=(2, 3))
        return {task: head(v) for task, head in self.head.items()}


class SingleStream(Trunk):
    """ResNet, or WRN by its base width, with one head."""

    def __init__(self, task, outputs, depth=(3, 4, 6, 3), base_channels=64, base_width=64):
        super().__init__(depth, base_channels, base_width)
        self.head = nn.ModuleDict({task: nn.Linear(self.features, outputs)})

    def forward(self, x):
        v = super().forward(x).mean(dim=(2, 3))
        return {task: head(v) for task, head in self.head.items()}


def losses(logits, aes_labels, emo_labels, weight):
    """L = L_a + weight·L_e (Eq. 1), each the mean over the samples whose label is not −1: {"loss", "aes", "emo"}."""
    parts = {}
    if "aes" in logits:
        labelled = aes_labels >= 0
        x = logits["aes"][labelled, 0]
        parts["aes"] = F.binary_cross_entropy_with_logits(x, aes_labels[labelled].to(x.dtype))
    if "emo" in logits:
        labelled = emo_labels >= 0
        parts["emo"] = F.cross_entropy(logits["emo"][labelled], emo_labels[labelled].long())
    loss = parts["aes"] + weight * parts["emo"] if len(parts) == 2 else sum(parts.values())
    return {"loss": loss, **parts}


def optimizer(model, base, fusion, momentum, weight_decay):
    """SGD with a rate for fusion and stitch weights, and decay on weights of convolutions and linear layers only."""
    named = list(model.named_parameters())
    is_fusion = lambda name: name.startswith(("fusion.", "stitch."))
    is_decayed = lambda name, p: p.dim() > 1 and not is_fusion(name)
    groups = [
        {"params": [p for name, p in named if is_decayed(name, p)], "lr": base, "weight_decay": weight_decay},
        {"params": [p for name, p in named if p.dim() == 1 and not is_fusion(name)], "lr": base},
        {"params": [p for name, p in named if is_fusion(name)], "lr": fusion},
    ]
    return torch.optim.SGD([group for group in groups if group["params"]], lr=base, momentum=momentum)


def preprocess(images, crops, size, dtype, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION):
    """uint8 [N, R, R, 3], crops [N, 3] = (x, y, flip) → [N, 3, size, size]."""
    result = []
    for image, (x, y, flip) in zip(torch.from_numpy(images).permute(0, 3, 1, 2), crops.tolist()):
        image = transforms.crop(image.to(dtype) / 255, y, x, size, size)
        result.append(transforms.normalize(transforms.hflip(image) if flip else image, mean, deviation))
    return torch.stack(result)


def load(model, tensors):
    """Every tensor of `tensors` (NumPy, by our names) into the model, and nothing of the model left out."""
    state = model.state_dict()
    own = {name for name in state if not name.endswith("num_batches_tracked")}
    if own != set(tensors):
        raise ValueError(f"names differ: {sorted(own ^ set(tensors))[:8]}")
    for name in own:
        state[name].copy_(torch.tensor(tensors[name]))


def named_state(model):
    """Parameters and running statistics by our names."""
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
