"""The output of layer2 of torchvision's pretrained ResNet50 on a photograph. Neither of them is in the fixture."""
import hashlib
import os

import numpy as np
import PIL.Image
import torch
from torchvision.models import resnet50

import reference
import tensor_file
from fixture import Fixture

SIZE = 64


def imagenet(photograph, weights):
    pixels = np.array(PIL.Image.open(photograph).convert("RGB"))
    side = len(pixels)
    if pixels.shape != (side, side, 3):
        raise ValueError(f"{photograph}: needs to be square, but is {pixels.shape}")
    tensors, _ = tensor_file.read(weights)
    offset = (side - SIZE) // 2
    settings = {
        "photograph": os.path.basename(photograph),
        "weights": os.path.basename(weights),
        "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "side": side,
        "crop": [offset, offset, 0],
        "size": SIZE,
    }
    fixture = Fixture("imagenet", settings)

    def compute(dtype):
        model = resnet50(weights=None).to(dtype)
        state = {name: torch.tensor(value) for name, value in tensors.items()}
        _, unexpected = model.load_state_dict(state, strict=False)
        assert not unexpected, unexpected
        model.eval()
        with torch.no_grad():
            x = reference.preprocess(pixels[None], np.array([settings["crop"]]), SIZE, dtype)
            x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
            return {"layer2": model.layer2(model.layer1(x)).permute(0, 2, 3, 1).contiguous()}

    fixture.add_references(lambda name: "output", compute)
    return fixture
