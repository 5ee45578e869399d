"""A Hydra plugin: configuration files are completed as they are read."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

__all__ = ["Configurations"]


class Configurations(SearchPathPlugin):
    """Completes configuration files wherever Hydra composes those of flowbench."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Leave the path as it is."""
        from flowbench.config.files import complete_files
        from flowbench.config.help import register_help
        from flowbench.run.config_directory import config_directory

        places = [item.path or "" for item in search_path.get_path() if item.provider == "main"]
        if any(Path(place.removeprefix("file://")) == config_directory() for place in places):
            complete_files()
            register_help()
