"""Where offtui keeps things, by the XDG rules: config, state (logs), data (measurements); themes beside its code."""

from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent


def config_dir() -> Path:
    """The folder of ``config.toml`` and of the user's own themes; never written by the app."""
    return Path(platformdirs.user_config_dir("offtui"))


def state_dir() -> Path:
    """The folder of logs and of choices the app remembers. Not created here."""
    return Path(platformdirs.user_state_dir("offtui"))


def data_dir() -> Path:
    """The folder of what was measured here. Not created here."""
    return Path(platformdirs.user_data_dir("offtui"))


def log_dir() -> Path:
    """The folder of crash reports. Not created here."""
    return state_dir() / "logs"


def themes_dir() -> Path:
    """The themes that ship with offtui: in the wheel beside the package, in a checkout at the top level."""
    shipped = PACKAGE / "themes"
    return shipped if shipped.is_dir() else PACKAGE.parents[1] / "themes"


def guide_model() -> Path:
    """The GGUF of the built-in guide."""
    return PACKAGE / "guide" / "guide.gguf"
