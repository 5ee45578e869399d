"""Are the options of a sweeper and of its launcher sound?"""

from omegaconf import DictConfig

from flowbench.config.configuration import ConfigError, resolved
from flowbench.config.signatures import problems_of_node

__all__ = ["check_options"]


def check_options(config: DictConfig) -> None:
    """Hold `hydra.sweeper` and `hydra.launcher` against the signatures of what they name.

    Args:
        config: of the sweep, with its `hydra` node.

    Raises:
        ConfigError: all problems together, one per line.
    """
    problems = [
        problem
        for name in ("sweeper", "launcher")
        for problem in problems_of_node(
            f"hydra.{name}", resolved(config.hydra[name]), supplied=set()
        )
    ]
    if problems:
        raise ConfigError("\n".join(problems))
