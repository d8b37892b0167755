"""Every dial and where its value came from; the only reader of the environment and of llmops.toml."""

from llmops.settings.dials import (
    AdmissionSettings,
    BenchSettings,
    EngineSettings,
    EventSettings,
    GpuSettings,
    ObjectiveSettings,
    ServeSettings,
    Settings,
    StateSettings,
    TuiSettings,
    WatchSettings,
)
from llmops.settings.loading import BadConfiguration, Loaded, load

__all__ = [
    "AdmissionSettings",
    "BadConfiguration",
    "BenchSettings",
    "EngineSettings",
    "EventSettings",
    "GpuSettings",
    "Loaded",
    "ObjectiveSettings",
    "ServeSettings",
    "Settings",
    "StateSettings",
    "TuiSettings",
    "WatchSettings",
    "load",
]
