"""Makes the small ONNX files of tests/onnx.rs with both exporters of PyTorch, and what PyTorch says of them.

    python make.py        (torch 2.7, onnx, onnxscript)

Each NAME.json has the logits and, at the module `layer`, the gradient of logit `target`.
"""
import json
import os

import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))


class Excite(nn.Module):
    """Squeeze-excite with convolutions."""

    def __init__(self, c, gate):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(c, 4, 1)
        self.fc2 = nn.Conv2d(4, c, 1)
        self.gate = gate

    def forward(self, x):
        return self.gate(self.fc2(F.relu(self.fc1(self.pool(x))))) * x


class LinearExcite(nn.Module):
    """Squeeze-excite with linear layers and an explicit repetition."""

    def __init__(self, c):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(c, 4), nn.ReLU(), nn.Linear(4, c), nn.Sigmoid())

    def forward(self, x):
        n, c, _, _ = x.shape
        y = self.fc(F.adaptive_avg_pool2d(x, 1).view(n, c)).view(n, c, 1, 1)
        return x * y.expand_as(x)


class Block(nn.Module):
    """A residual block whose ReLU runs twice."""

    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(c, c, 3, padding=2, dilation=2, groups=2, bias=False)
        self.bn2 = nn.BatchNorm2d(c)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.1))
        self.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.layer1 = nn.Sequential(Block(8), Block(8))
        self.pre = nn.BatchNorm2d(8)
        self.excite = Excite(8, nn.Hardsigmoid())
        self.layer2 = nn.Sequential(nn.Conv2d(16, 8, 3, 2, 1), nn.ELU(), nn.AvgPool2d(3, 1, 1), Block(8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.layer1(self.maxpool(self.stem(x)))
        a, b = x.chunk(2, 1)
        y = torch.cat([b, F.hardswish(a), self.excite(F.relu(self.pre(x)))], 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        y = self.layer2(y)
        y = F.dropout(torch.flatten(F.adaptive_avg_pool2d(y, 1), 1), training=self.training)
        return F.softmax(self.fc(y), 1)


class NextBlock(nn.Module):
    """ConvNeXt: channels last in the middle."""

    def __init__(self, c):
        super().__init__()
        self.dwconv = nn.Conv2d(c, c, 5, padding=2, groups=c)
        self.norm = nn.LayerNorm(c, eps=1e-6)
        self.pwconv1 = nn.Linear(c, 2 * c)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(2 * c, c)
        self.gamma = nn.Parameter(torch.rand(c))

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class Next(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 2, 2)
        self.stages = nn.Sequential(
            nn.Sequential(NextBlock(8), NextBlock(8)), nn.Sequential(nn.Conv2d(8, 12, 2, 2), NextBlock(12))
        )
        self.norm = nn.LayerNorm(12, eps=1e-6)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.norm(self.stages(self.stem(x)).mean([-2, -1])))


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.SiLU()),
            nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), LinearExcite(8)),
            nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.Mish(), nn.Conv2d(12, 12, 1), nn.Tanh()),
        )
        self.scale = nn.Parameter(torch.rand(1, 12, 1, 1) + 0.5)
        self.classifier = nn.Linear(24, 3)

    def forward(self, x):
        # As torchvision's transform_input, and TensorFlow's border of one side.
        parts = [x[:, i].unsqueeze(1) * s + t for i, (s, t) in enumerate([(0.9, 0.1), (1.1, -0.1), (1.0, 0.05)])]
        x = F.pad(torch.cat(parts, 1), (0, 1, 0, 1))
        x = self.features(x)
        x = torch.clamp(x * self.scale - 0.1, -0.8, 0.9)
        x = torch.cat([F.adaptive_avg_pool2d(x, 1), x.amax((2, 3), keepdim=True)], 1)
        return torch.sigmoid(self.classifier(x.flatten(1)))


def image(size):
    i = torch.arange(3 * size * size)
    return ((i * 37 % 101).float() / 50 - 1).view(1, 3, size, size)


def settle(net):
    """Weights and running statistics that keep all activations alive."""
    torch.manual_seed(7)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.weight.data.uniform_(0.5, 1.5)
            m.bias.data.uniform_(-0.3, 0.3)
            m.running_mean.uniform_(-0.3, 0.3)
            m.running_var.uniform_(0.5, 1.5)
    return net.eval()


def logits_of(net, x):
    """The values before the last activation."""
    kept = {}
    head = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    hook = head.register_forward_hook(lambda m, i, o: kept.update(out=o))
    net(x)
    hook.remove()
    return kept["out"]


def slim(path):
    """Takes out where the source stood on the machine that exported it."""
    model = onnx.load(path)
    for part in [model, model.graph, *model.graph.node, *model.graph.value_info]:
        part.ClearField("doc_string")
        kept = [p for p in getattr(part, "metadata_props", []) if p.key.split(".")[-1] in ("name_scopes", "class_hierarchy")]
        del part.metadata_props[:]
        part.metadata_props.extend(kept)
    del model.graph.value_info[:]
    onnx.save(model, path)


def main():
    for name, make, layer, activation, opset in [
        ("residual", Residual, "layer1", "softmax", 17),
        ("next", Next, "stages.0", None, 17),
        ("next_old", Next, "stages.0", None, 11),
        ("mobile", Mobile, "features.1", "sigmoid", 17),
    ]:
        torch.manual_seed(3)
        net, x, target = settle(make()), image(24), 1
        kept = {}

        def hook(m, i, o):
            o.retain_grad()
            kept["at"] = o
            return o.clone()

        handle = dict(net.named_modules())[layer].register_forward_hook(hook)
        logits = logits_of(net, x)
        logits[0, target].backward()
        handle.remove()
        told = dict(
            shape=list(x.shape), layer=layer, target=target, activation=activation,
            logits=logits[0].tolist(), gradient=kept["at"].grad.flatten().tolist(),
        )
        with open(os.path.join(HERE, f"{name}.json"), "w") as file:
            json.dump(told, file)
        path = os.path.join(HERE, name)
        torch.onnx.export(net, x, path + ".torchscript.onnx", dynamo=False, opset_version=opset)
        slim(path + ".torchscript.onnx")
        if opset > 11:
            torch.onnx.export(net, (x,), path + ".dynamo.onnx", dynamo=True, external_data=False)
            slim(path + ".dynamo.onnx")


if __name__ == "__main__":
    main()
