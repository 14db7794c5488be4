"""Writes torchcam.json beside this file: maps that torchcam joins over a network's stages, for tests/cams.rs.

    python torchcam.py --recipe FOLDER

The network is resnet34.json's, with its weights and class, on a small picture so that all cells are kept. FOLDER is as in
make.py. Needs torch, torchvision, torchcam.
"""

import argparse
import json
import os
import sys

import torch
import torchvision

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE = 80  # without a rectifier that is all but tied, as one of ours is at 96
STAGES = ["layer1", "layer2", "layer3", "layer4"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--recipe", required=True)
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    sys.path.insert(0, arguments.recipe)
    sys.dont_write_bytecode = True
    sys.path.remove(HERE)  # this file has the library's name
    import recipe
    import torchcam
    from torchcam.methods import GradCAM, LayerCAM

    with open(os.path.join(HERE, "resnet34.json")) as file:
        network = json.load(file)
    model = torchvision.models.resnet34(weights=None).eval()
    state = {name: torch.from_numpy(recipe.tensor(name, value.shape, network["salt"], network["rules"]))
             for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    model.double()  # rectifiers that are all but tied fall by rounding in f32
    x = torch.from_numpy(recipe.rgb_input(recipe.image("A", SIZE, SIZE))).double()

    def joined(kind, stages):
        with kind(model, stages) as extractor:
            return extractor.fuse_cams(extractor(network["target"], model(x)))[0]

    maps = {"layer-cam": joined(LayerCAM, STAGES), "grad-cam": joined(GradCAM, STAGES)}
    alone = {"layer-cam": joined(LayerCAM, STAGES[:1])}

    def numbers(map):
        return dict(grid=list(map.shape), values=[float(f"{float(v):.6g}") for v in map.flatten()])

    result = dict(network="resnet34", size=SIZE, target=network["target"], torch=torch.__version__,
                  torchcam=torchcam.__version__, layer4={k: numbers(v) for k, v in maps.items()},
                  layer1={k: numbers(v) for k, v in alone.items()})
    with open(os.path.join(HERE, "torchcam.json"), "w") as out:
        out.write("{\n" + ",\n".join(f'"{k}": {json.dumps(v, separators=(",", ":"))}' for k, v in result.items()) + "\n}\n")


if __name__ == "__main__":
    main()
