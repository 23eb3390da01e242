"""Every operation, forward and backward, in the engine's layouts: x [G, N, H, W, C], weight [G, kh, kw, Cin, Cout]."""
import numpy as np
import torch
from torch.nn import functional as F

import reference
from fixture import Fixture, random, uniform

CASES = []


def case(name, op, inputs, compute, options=None, training=True):
    """`inputs` by name: an array, or (array, {"layout", "needsGrad"}); compute(t, options) → y."""
    CASES.append((f"{op} {name}".strip(), op, inputs, compute, options or {}, training))


def ops(fixture_name, of):
    """The fixture of the operations for which of(op) holds."""
    fixture = Fixture(fixture_name, {"cases": []})
    for name, op, inputs, compute, options, training in CASES:
        if not of(op):
            continue
        described = {}
        arrays = {}
        for key, value in inputs.items():
            array, how = value if isinstance(value, tuple) else (value, {})
            needs_grad = array.dtype == np.float32 and how.get("needsGrad", True)
            described[key] = {**how, "needsGrad": needs_grad}
            arrays[key] = array
            fixture.add_input(f"{name}/{key}", array)
        described_case = {"name": name, "op": op, "options": options, "training": training, "inputs": described}
        fixture.settings["cases"].append(described_case)
        differentiated = [key for key, how in described.items() if how["needsGrad"]]

        def forward(dtype):
            t = {key: torch.from_numpy(array) for key, array in arrays.items()}
            t = {key: x.to(dtype) if x.is_floating_point() else x for key, x in t.items()}
            for key in differentiated:
                t[key].requires_grad_()
            t["dtype"] = dtype
            return t, compute(t, {**options, "training": training})

        shape = forward(torch.float64)[1].shape
        dy = uniform(random(name, "dy"), shape)
        if differentiated:
            fixture.add_input(f"{name}/dy", dy)

        def results(dtype):
            t, y = forward(dtype)
            results = {f"{name}/y": y}
            if differentiated:
                gradients = torch.autograd.grad(y, [t[key] for key in differentiated], torch.from_numpy(dy).to(dtype))
                results |= {f"{name}/d({key})": gradient for key, gradient in zip(differentiated, gradients)}
            return results

        fixture.add_references(lambda name: "output" if name.endswith("/y") else "gradient", results)
    return fixture


def numbers(name, *shape, mean=0.0, deviation=1.0):
    return uniform(random(name), shape, mean, deviation)


def by_stream(f, x):
    """f on each stream's NCHW map, stacked again as NHWC."""
    return torch.stack([f(g, stream.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) for g, stream in enumerate(x)])


# conv2d --------------------------------------------------------------------------------------------------------------


def conv2d(t, options):
    weight = t["weight"]
    x = t["x"].expand(len(weight), *t["x"].shape[1:])
    convolve = lambda g, x: F.conv2d(x, weight[g].permute(3, 2, 0, 1), **geometry(options))
    return by_stream(convolve, x)


def geometry(options):
    return {key: options[key] for key in ("stride", "padding")}


def convolution(name, x, kernel, out, stride=1, padding=0, streams=None, image_needs_grad=True):
    streams = streams or x[0]
    weight = numbers(name + "weight", streams, kernel, kernel, x[4], out, deviation=(kernel**2 * x[4]) ** -0.5)
    inputs = {
        "x": (numbers(name + "x", *x), {"needsGrad": image_needs_grad}),
        "weight": (weight, {"layout": "weight"}),
    }
    case(name, "conv2d", inputs, conv2d, {"stride": stride, "padding": padding})


convolution("7x7 s2 p3, one image for three streams", [1, 2, 15, 13, 3], 7, 5, 2, 3, streams=3)
convolution("7x7 s2 p3, an image without gradient", [1, 2, 18, 16, 3], 7, 8, 2, 3, image_needs_grad=False)
convolution("1x1, odd channels", [3, 2, 5, 4, 7], 1, 6)
convolution("1x1, many channels", [1, 2, 4, 4, 130], 1, 33)
convolution("1x1 s2", [2, 2, 7, 5, 9], 1, 12, 2)
convolution("3x3 p1, odd channels", [1, 2, 6, 5, 5], 3, 7, 1, 1)
convolution("3x3 p1, many channels", [1, 2, 7, 7, 33], 3, 21, 1, 1)
convolution("3x3 s2 p1, odd side", [3, 2, 7, 7, 6], 3, 5, 2, 1)
convolution("3x3 s2 p1, even side", [2, 2, 8, 6, 4], 3, 8, 2, 1)
convolution("3x3 s2 p1, one pixel", [1, 4, 1, 1, 6], 3, 3, 2, 1)


# batch norm, fusion --------------------------------------------------------------------------------------------------


def fuse(f, weights, detach):
    """Eq. 2, from α_p, α_s, β_p, β_s as rows of one tensor."""
    a, s, e = f
    alpha_p, alpha_s, beta_p, beta_s = weights
    shared = s.detach() if detach else s
    return torch.stack([alpha_p * a + alpha_s * shared, s, beta_s * shared + beta_p * e])


def fusion_weights(name, channels):
    weights = numbers(name + "fusion", 4, channels, deviation=0.3)
    return weights + np.array([[0.9], [0.1], [0.9], [0.1]], dtype=np.float32)


def batch_norm(t, options):
    def normalise(g, x):
        running = (t["runningMean"][g].clone(), t["runningVar"][g].clone())
        return F.batch_norm(x, *running, t["weight"][g], t["bias"][g], options["training"], 0.1, 1e-5)

    y = by_stream(normalise, t["x"])
    if "residual" in t:
        y = y + t["residual"]
    if options["relu"]:
        y = torch.relu(y)
    return fuse(y, t["fusion"], options["detachShared"]) if "fusion" in t else y


def norm(name, x, training, relu=False, residual=False, fusion=0, detach=False, mean=0.0):
    g, channels = x[0], x[4]
    inputs = {
        "x": numbers(name + "x", *x, mean=mean),
        "weight": numbers(name + "weight", g, channels, mean=1, deviation=0.3),
        "bias": numbers(name + "bias", g, channels, deviation=0.3),
        "runningMean": (numbers(name + "mean", g, channels, mean=mean, deviation=0.3), {"needsGrad": False}),
        "runningVar": (numbers(name + "var", g, channels, mean=1, deviation=0.3), {"needsGrad": False}),
    }
    if residual:
        inputs["residual"] = numbers(name + "residual", *x)
    if fusion:
        inputs["fusion"] = fusion_weights(name, fusion)
    case(name, "batchNorm", inputs, batch_norm, {"relu": relu, "detachShared": detach}, training)


for mode, training in (("training", True), ("evaluation", False)):
    norm(f"in {mode}", [1, 3, 5, 4, 6], training)
    norm(f"in {mode}, large mean", [1, 3, 5, 4, 5], training, mean=10.0)
    norm(f"in {mode}, ReLU", [2, 2, 4, 5, 7], training, relu=True)
    norm(f"in {mode}, residual, ReLU", [2, 3, 3, 5, 5], training, relu=True, residual=True)
    norm(f"in {mode}, residual, ReLU, fusion", [3, 3, 4, 3, 6], training, True, True, fusion=1)
    norm(f"in {mode}, residual, ReLU, fusion by channel", [3, 2, 4, 3, 5], training, True, True, fusion=5)
    norm(f"in {mode}, residual, ReLU, fusion detached", [3, 2, 3, 3, 7], training, True, True, fusion=1, detach=True)

for name, columns, detach in (
    ("scalar", 1, False),
    ("by channel", 6, False),
    ("scalar, detached", 1, True),
    ("by channel, detached", 6, True),
):
    case(
        name,
        "fuse",
        {"x": numbers(name + "f", 3, 2, 4, 3, 6), "fusion": fusion_weights(name, columns)},
        lambda t, options: fuse(t["x"], t["fusion"], options["detachShared"]),
        {"detachShared": detach},
    )


def stitch(t, options):
    """[ã; ẽ] = W · [a; e]"""
    return torch.einsum("ij,jnhwc->inhwc", t["weight"], t["x"])


for name, x in (("odd channels", [2, 3, 4, 3, 5]), ("whole channels", [2, 2, 5, 4, 8])):
    case(name, "stitch", {"x": numbers(name + "x", *x), "weight": numbers(name + "weight", 2, 2)}, stitch)


# pools, elementwise --------------------------------------------------------------------------------------------------


def max_pool(t, options):
    pool = lambda g, x: F.max_pool2d(x, options["kernelSize"], **geometry(options))
    y = by_stream(pool, t["x"])
    return fuse(y, t["fusion"], options["detachShared"]) if "fusion" in t else y


STEM_POOL = {"kernelSize": 3, "stride": 2, "padding": 1, "detachShared": False}
case("3x3 s2 p1", "maxPool2d", {"x": numbers("pool", 2, 2, 7, 6, 5)}, max_pool, STEM_POOL)
case(
    "3x3 s2 p1, zeros that tie",
    "maxPool2d",
    {"x": np.maximum(numbers("pool of ReLU", 1, 2, 8, 7, 4), 0)},
    max_pool,
    STEM_POOL,
)
for name, columns, detach in (("fusion", 1, False), ("fusion by channel", 7, False), ("fusion detached", 1, True)):
    inputs = {"x": numbers(name + "pool", 3, 2, 6, 5, 7), "fusion": fusion_weights(name + "pool", columns)}
    case(f"3x3 s2 p1, {name}", "maxPool2d", inputs, max_pool, {**STEM_POOL, "detachShared": detach})

case(
    "",
    "globalAveragePool",
    {"x": numbers("average", 3, 2, 5, 4, 7)},
    lambda t, _: torch.stack([F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), 1).flatten(1) for x in t["x"]]),
)
case("", "relu", {"x": numbers("relu", 2, 2, 4, 3, 5)}, lambda t, _: torch.relu(t["x"]))
case(
    "",
    "add",
    {"x": numbers("a", 2, 2, 4, 3, 5), "residual": numbers("b", 2, 2, 4, 3, 5)},
    lambda t, _: t["x"] + t["residual"],
)
case(
    "",
    "addScaled",
    {"x": numbers("loss a", 1), "other": numbers("loss e", 1)},
    lambda t, options: t["x"] + options["scale"] * t["other"],
    {"scale": 0.25},
)
case(
    "",
    "concatStreams",
    {"x": numbers("concat", 3, 3, 8)},
    lambda t, options: torch.cat([t["x"][g] for g in options["streams"]], dim=1),
    {"streams": [1, 0]},
)


# linear, losses ------------------------------------------------------------------------------------------------------


def linear(name, rows, inputs, outputs):
    tensors = {
        "x": numbers(name + "x", rows, inputs),
        "weight": (numbers(name + "weight", inputs, outputs, deviation=inputs**-0.5), {"layout": "weight"}),
        "bias": numbers(name + "bias", outputs),
    }
    case(name, "linear", tensors, lambda t, _: F.linear(t["x"], t["weight"].T, t["bias"]))


linear("to one logit", 5, 24, 1)
linear("to eight", 3, 200, 8)
linear("odd features", 1, 37, 5)


def bce(t, _):
    labelled = t["labels"] >= 0
    x, labels = t["x"][labelled, 0], t["labels"][labelled]
    return F.binary_cross_entropy_with_logits(x, labels, reduction="sum")[None] / t["count"]


def cross_entropy(t, _):
    labels = t["labels"].long()
    return F.cross_entropy(t["x"], labels, ignore_index=-1, reduction="sum")[None] / t["count"]


without = {"needsGrad": False}
count = lambda n: (np.array([n], dtype=np.float32), without)
for name, labels in (
    ("all labelled", [1, 0, 0, 1, 1]),
    ("missing labels", [1, -1, 0, -1, 1, 0, -1]),
    ("soft labels", [0.25, 0.5, -1, 1, 0]),
):
    present = sum(label >= 0 for label in labels)
    tensors = {
        "x": numbers("bce" + name, len(labels), 1, deviation=3),
        "labels": (np.array(labels, dtype=np.float32), without),
        "count": count(present),
    }
    case(name, "binaryCrossEntropyWithLogits", tensors, bce)
for name, classes, labels in (
    ("all labelled", 8, [3, 0, 7, 5]),
    ("missing labels", 5, [4, -1, 2, -1, -1, 0]),
    ("of a larger batch", 2, [1, 0, -1]),
):
    present = 7 if name == "of a larger batch" else sum(label >= 0 for label in labels)
    tensors = {
        "x": numbers("softmax" + name, len(labels), classes, deviation=3),
        "labels": np.array(labels, dtype=np.int32),
        "count": count(present),
    }
    case(name, "softmaxCrossEntropy", tensors, cross_entropy)


# preprocess ----------------------------------------------------------------------------------------------------------


def preprocess(t, options):
    sizes = options["size"], t["dtype"], options["mean"], options["deviation"]
    return reference.preprocess(t["images"].numpy(), t["crops"].numpy(), *sizes).permute(0, 2, 3, 1)[None]


case(
    "",
    "preprocess",
    {
        "images": random("images").randint(0, 256, (3, 13, 13, 3)).astype(np.uint8),
        "crops": np.array([[0, 4, 1], [4, 0, 0], [2, 3, 1]], dtype=np.int32),
    },
    preprocess,
    {"size": 9, "mean": reference.IMAGENET_MEAN, "deviation": reference.IMAGENET_DEVIATION},
)
