"""Every dial and where its value came from; what reads the environment and llmops.toml, with `statefolder`."""

from llmops.settings.alerting import AlertSettings
from llmops.settings.dials import Settings
from llmops.settings.elastic import ElasticSettings
from llmops.settings.gauging import GaugeSettings
from llmops.settings.keeping import StoreSettings
from llmops.settings.loading import BadConfiguration, Loaded, load
from llmops.settings.record import EventSettings, StateSettings
from llmops.settings.serving import AdmissionSettings, EngineSettings, GpuSettings, ServeSettings
from llmops.settings.watching import BenchSettings, CanarySettings, ObjectiveSettings, TuiSettings, WatchSettings

__all__ = [
    "AdmissionSettings",
    "AlertSettings",
    "BadConfiguration",
    "BenchSettings",
    "CanarySettings",
    "ElasticSettings",
    "EngineSettings",
    "EventSettings",
    "GaugeSettings",
    "GpuSettings",
    "Loaded",
    "ObjectiveSettings",
    "ServeSettings",
    "Settings",
    "StateSettings",
    "StoreSettings",
    "TuiSettings",
    "WatchSettings",
    "load",
]
