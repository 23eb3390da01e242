#!/usr/bin/env python3
"""Makes the fixtures in test/golden/fixtures from PyTorch, or with --check holds the committed ones against it.

    python3 test/golden/make.py [--check]
    python3 test/golden/make.py [--check] --photograph FILE --weights FILE

Needs Debian's python3-torch and python3-torchvision (1.13 and 0.14 made them). The second form makes the fixture of the
ImageNet weights, from a photograph and a safetensors file with torchvision's stem, layer1 and layer2 of ResNet50.
"""
import argparse
import sys

import torch

import imagenet
import networks
import ops

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a fixture is not what this makes")
parser.add_argument("--photograph", help="a JPEG file")
parser.add_argument("--weights", help="safetensors with torchvision's names")
arguments = parser.parse_args()
torch.manual_seed(0)

if arguments.photograph or arguments.weights:
    fixtures = [imagenet.imagenet(arguments.photograph, arguments.weights)]
else:
    fixtures = [
        ops.ops("conv2d", lambda op: op == "conv2d"),
        ops.ops("ops", lambda op: op != "conv2d"),
        networks.sgd(),
        networks.bottlenecks(),
        networks.resnet(),
        networks.aenet(),
        networks.aenet("aenet-by-channel-detached", "channel", True, lambda name: "layer4" not in name),
        networks.csnet(),
        networks.ssnet(),
        networks.wrn("aes"),
        networks.wrn("emo"),
        networks.steps(),
        networks.csnet_steps(),
    ]

if not arguments.check:
    for fixture in fixtures:
        fixture.save()
else:
    faults = [fault for fixture in fixtures for fault in fixture.faults()]
    for fault in faults:
        print(fault)
    print(f"{len(fixtures)} fixtures, {sum(len(f.references) for f in fixtures)} references, {len(faults)} faults")
    sys.exit(1 if faults else 0)
