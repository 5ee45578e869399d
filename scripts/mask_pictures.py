"""Draw the masks of small autoregressive networks: python scripts/mask_pictures.py FILE.png."""

import argparse
from pathlib import Path
from typing import Any

import torch
from matplotlib.colors import ListedColormap

from flowbench.drawing.style import MODEL, blank, save
from flowbench.nn import autoregressive_masks

FEATURES, UNITS = 5, (8, 8)
SETTINGS: dict[str, dict[str, Any]] = {
    "left-to-right": {},
    "right-to-left": {"input_order": "right-to-left"},
    "random degrees": {"hidden_degrees": "random"},
}
COLORS = ListedColormap(["#f2f2f2", MODEL])
TITLES = ("first layer", "second layer", "output layer", "output on input")


def main() -> None:
    """Parse, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="of the picture, a PNG")
    file = parser.parse_args().file
    figure = blank(8, 6.4)
    axes = figure.subplots(len(SETTINGS), len(TITLES), squeeze=False)
    for line, (name, options) in zip(axes, SETTINGS.items(), strict=True):
        for axis, title, mask in zip(line, TITLES, masks(options), strict=True):
            axis.pcolormesh(mask, cmap=COLORS, vmin=0, vmax=1, edgecolors="white")
            axis.set(xticks=[], yticks=[], aspect="equal")
            axis.invert_yaxis()
            axis.spines[:].set_visible(False)
            axis.set_title(title, fontsize=9)
        line[0].set_ylabel(name, fontsize=9)
    save(figure, file)


def masks(options: dict[str, Any]) -> list[torch.Tensor]:
    """The masks of all layers, and which outputs depend on which inputs: rows are outputs."""
    generator = torch.Generator().manual_seed(0)
    layers = autoregressive_masks(FEATURES, 1, UNITS, generator=generator, **options)
    product = torch.eye(FEATURES)
    for layer in layers:
        product = layer.float() @ product
    return [*layers, product > 0]


if __name__ == "__main__":
    main()
