"""Where the configuration files are."""

from pathlib import Path

__all__ = ["config_directory"]

PACKAGE = Path(__file__).resolve().parents[1]


def config_directory() -> Path:
    """The folder configs/: inside the installed package, or at the root of a checkout.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    places = [PACKAGE / "configs", PACKAGE.parents[1] / "configs"]
    for place in places:
        if (place / "train.yaml").is_file():
            return place
    raise FileNotFoundError(
        f"no train.yaml in {places[0]} nor in {places[1]}: reinstall flowbench"
    )
