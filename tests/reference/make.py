"""Writes NAME.json beside this file: what PyTorch computes on recipe weights, for tests/architectures.rs.

    python make.py --recipe FOLDER [NAME ...]

FOLDER holds `recipe.py`, the module that makes weights and pictures from names and shapes alone, so that nothing has
to be downloaded and neither side stores a weight. Needs torch, torchvision, timm.

A file holds the tensors' names and shapes (a BatchNorm as its path and its channels), 64 logits, statistics of
the stages, two values of every module's output, and the raw Grad-CAM of the last layer.
"""

import argparse
import json
import os
import sys

import torch
import torchvision.models as tv
from torch import nn

SALT = 77
RES = ["layer1", "layer2", "layer3", "layer4"]
DENSE = [f"features.denseblock{i}" for i in range(1, 5)] + ["features.relu5"]


def timm(name):
    import timm as library

    return library.create_model(name, pretrained=False)


def xray_resnet50():
    """torchxrayvision.models.ResNet without its weights: torchvision's, with one channel and 18 findings."""
    model = tv.resnet50(num_classes=18)
    model.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return model


def torchvision(name, **options):
    return lambda: getattr(tv, name)(weights=None, **options)


# name: (model, stages, rules, size); the last stage is explained unless a fifth entry says otherwise
MODELS = {
    "resnet34": (torchvision("resnet34"), RES, [["bn2.weight", 0.4]], 224),
    "resnet101": (torchvision("resnet101"), RES, [["bn3.weight", 0.3]], 224),
    "wide_resnet50_2": (torchvision("wide_resnet50_2"), RES, [["bn3.weight", 0.4]], 224),
    "resnext50_32x4d": (torchvision("resnext50_32x4d"), RES, [["bn3.weight", 0.4]], 224),
    "vgg11": (torchvision("vgg11"), [f"features.{i}" for i in (1, 4, 9, 14, 19, 20)], [], 224, "features.19"),
    "vgg16_bn": (torchvision("vgg16_bn"), [f"features.{i}" for i in (5, 12, 22, 32, 42, 43)], [], 224, "features.42"),
    "densenet169": (torchvision("densenet169"), DENSE, [], 224),
    "squeezenet1_0": (torchvision("squeezenet1_0"), ["features.1", "features.5", "features.10", "features.12", "classifier.2"],
                      [], 224, "features.12"),
    "googlenet": (torchvision("googlenet", init_weights=False),
                  ["conv1", "conv3", "inception3b", "inception4e", "inception5b"], [], 224),
    "inception_v3": (torchvision("inception_v3", init_weights=False),
                     ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"], [], 299),
    "mobilenet_v3_small": (torchvision("mobilenet_v3_small"), [f"features.{i}" for i in (0, 1, 3, 8, 11, 12)],
                           [["block.3.1.weight", 0.7], ["block.2.1.weight", 0.7]], 224),
    "mobilenet_v3_large": (torchvision("mobilenet_v3_large"), [f"features.{i}" for i in (0, 3, 6, 12, 15, 16)],
                           [["block.3.1.weight", 0.7], ["block.2.1.weight", 0.7]], 224),
    "efficientnet_b3": (torchvision("efficientnet_b3"), [f"features.{i}" for i in range(9)], [["block.3.1.weight", 0.7]], 224),
    "efficientnet_b5": (torchvision("efficientnet_b5"), [f"features.{i}" for i in range(9)], [["block.3.1.weight", 0.6]], 160),
    "efficientnet_v2_s": (torchvision("efficientnet_v2_s"), [f"features.{i}" for i in range(8)],
                          [["block.3.1.weight", 0.5], ["block.1.1.weight", 0.5]], 192),
    "convnext_small": (torchvision("convnext_small"), [f"features.{i}" for i in range(8)], [["layer_scale", 0.5]], 224),
    "mnasnet0_75": (torchvision("mnasnet0_75"), [f"layers.{i}" for i in (7, 8, 9, 11, 13, 16)], [["layers.7.weight", 0.5]], 224),
    "mnasnet1_0": (torchvision("mnasnet1_0"), [f"layers.{i}" for i in (7, 8, 9, 11, 13, 16)], [["layers.7.weight", 0.5]], 224),
    "shufflenet_v2_x1_0": (torchvision("shufflenet_v2_x1_0"), ["conv1", "stage2", "stage3", "stage4", "conv5"],
                           [["branch2.4.weight", 0.6], ["branch1.1.weight", 0.6]], 224),
    "regnet_y_400mf": (torchvision("regnet_y_400mf"), ["stem"] + [f"trunk_output.block{i}" for i in range(1, 5)],
                       [["f.c.1.weight", 0.5]], 224),
    "regnet_x_400mf": (torchvision("regnet_x_400mf"), ["stem"] + [f"trunk_output.block{i}" for i in range(1, 5)],
                       [["f.c.1.weight", 0.5]], 224),
    "vit_b_16": (torchvision("vit_b_16"),
                 ["encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_5", "encoder.layers.encoder_layer_11",
                  "encoder.ln"], [], 224, "encoder.layers.encoder_layer_11.ln_1"),
    "timm_densenet121": (lambda: timm("densenet121"), DENSE[:4] + ["features.norm5"], [], 224),
    "timm_efficientnet_b0": (lambda: timm("efficientnet_b0"), ["bn1", "blocks.0", "blocks.2", "blocks.4", "blocks.6", "bn2"],
                             [["conv_pwl.weight", 1.15]], 224),
    "tf_efficientnet_b0": (lambda: timm("tf_efficientnet_b0"), ["bn1", "blocks.0", "blocks.2", "blocks.4", "blocks.6", "bn2"],
                           [["conv_pwl.weight", 1.15]], 224),
    "timm_resnext50_32x4d": (lambda: timm("resnext50_32x4d"), RES, [["bn3.weight", 0.4]], 224),
    "timm_resnet50d": (lambda: timm("resnet50d"), RES, [["bn3.weight", 0.4]], 192),
    "xrv_resnet50": (xray_resnet50, RES, [["conv1.weight", 0.002], ["bn3.weight", 0.4]], 224),
}


def channels_first(name, module, x, tokens, convnext):
    """A module's output with its channels second: [N, C, H, W], tokens [N, C, T]."""
    if tokens and x.dim() == 3:
        return x.transpose(1, 2)
    last = isinstance(module, (nn.Linear, nn.GELU, nn.LayerNorm)) or name.endswith("block.1")
    # LayerNorm2d is a LayerNorm that permutes by itself; the permutation back is `block.6`.
    if convnext and x.dim() == 4 and last and type(module).__name__ != "LayerNorm2d":
        return x.permute(0, 3, 1, 2)
    return x


def fill(model, recipe, rules):
    old = model.state_dict()
    new = type(old)()
    new._metadata = old._metadata  # version marks, which MNASNet reads
    for name, value in old.items():
        new[name] = torch.from_numpy(recipe.tensor(name, value.shape, SALT, rules))
    model.load_state_dict(new)


def prepare(make, recipe, rules):
    torch.manual_seed(0)
    model = make().eval()
    fill(model, recipe, rules)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    if hasattr(model, "features") and hasattr(model.features, "denseblock1") and "timm" not in type(model).__module__:
        # torchvision's ReLU before the pooling is functional; here it is a module, so that it can be hooked.
        model.features.add_module("relu5", nn.ReLU())
        features, head = model.features, model.classifier
        model.forward = lambda x: head(nn.functional.adaptive_avg_pool2d(features(x), 1).flatten(1))
    return model


def manifest(state):
    """[path, channels] for a BatchNorm, [key, shape] for any other tensor of numbers."""
    rows = []
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if module + ".running_mean" in state:
            if leaf == "running_mean":
                rows.append([module, value.numel()])
        elif value.dtype == torch.float32:
            rows.append([key, list(value.shape)])
    return rows


def rounded(x):
    return float(f"{float(x):.8g}")


def strided(x, count):
    flat = x.flatten()
    step = max(1, flat.numel() // count)
    return step, [rounded(v) for v in flat[::step][:count]]


def reference(name, recipe):
    make, stages, rules, size, *last = MODELS[name]
    last = last[0] if last else stages[-1]
    picture = recipe.image("A", size, size)
    x = torch.from_numpy(recipe.xray_input(picture) if name.startswith("xrv") else recipe.rgb_input(picture))

    # The last layer is scaled so that logits spread by about 1.
    model = prepare(make, recipe, rules)
    head = [key for key, value in model.state_dict().items()
            if key.endswith("weight") and value.dim() >= 2 and not key.lower().startswith("aux")][-1]
    with torch.no_grad():
        spread = model(x).std().item()
    rules = [[head, float(f"{1 / spread:.2g}")]] + rules
    model = prepare(make, recipe, rules)

    seen, kept = {}, {}
    tokens = name.startswith("vit")
    hooks = []
    for path, module in model.named_modules():
        # torchvision's `features` ends before the ReLU that stands in it here.
        if not path or isinstance(module, nn.Identity) or (path == "features" and hasattr(module, "relu5")):
            continue

        def hook(module, _, output, path=path):
            if isinstance(output, torch.Tensor):
                y = channels_first(path, module, output, tokens, name.startswith("convnext")).detach().contiguous()
                step, values = strided(y, 3)
                seen[path] = [y.numel(), rounded(y.abs().max()), *values[1:3]]
                if path in stages:
                    step, values = strided(y, 16)
                    shape = list(output.shape)
                    seen_stages[path] = dict(shape=shape, mean=rounded(y.double().mean()),
                                             absmax=rounded(y.abs().max()), stride=step, strided16=values)
                if path == last:
                    output.retain_grad()
                    kept["a"] = output
        hooks.append(module.register_forward_hook(hook))
    seen_stages = {}
    logits = model(x)
    target = int(logits.argmax())
    logits[0, target].backward()
    a, g = kept["a"], kept["a"].grad
    if tokens:
        side = int((a.shape[1] - 1) ** 0.5)
        a, g = (v[:, 1:].transpose(1, 2).reshape(1, -1, side, side) for v in (a, g))
    cam = (a * g.mean((2, 3), keepdim=True)).sum(1)[0].detach()

    timm_densenet = name == "timm_densenet121"
    result = dict(
        name=name, salt=SALT, rules=rules, torch=torch.__version__, size=size,
        last="features.relu5" if timm_densenet else last,
        stages=[("features.relu5" if timm_densenet and s == "features.norm5" else s, seen_stages[s]) for s in stages],
        classes=logits.numel(), target=target, absmax=rounded(logits.abs().max()), spread=rounded(logits.std()),
        logits=[rounded(v) for v in logits.flatten()[:64]],
        cam=dict(grid=list(cam.shape), values=[rounded(v) for v in cam.flatten()]),
        tensors=manifest(model.state_dict()), modules=[[path, *row] for path, row in seen.items()])
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".json")
    with open(file, "w") as out:
        out.write("{\n" + ",\n".join(f'"{k}": {json.dumps(v, separators=(",", ":"))}' for k, v in result.items()) + "\n}\n")
    print(f"{name}: {os.path.getsize(file) // 1024} KB, logits spread {result['spread']:.2f}, "
          f"last stage up to {max(row['absmax'] for _, row in result['stages'][-1:]):.3g}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--recipe", required=True)
    arguments.add_argument("names", nargs="*", default=list(MODELS))
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    sys.path.insert(0, arguments.recipe)
    sys.dont_write_bytecode = True
    import recipe

    for name in arguments.names or MODELS:
        reference(name, recipe)


if __name__ == "__main__":
    main()
