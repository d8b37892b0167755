"""Every dial, one section per station; beside `statefolder` the only reader of the environment and of llmops.toml.

A value comes from, strongest first: a command-line flag, an environment variable (`LLMOPS_SERVE__PORT`),
`./llmops.toml` (or the file that `LLMOPS_CONFIG` names), the default. Units are in the names: `_s` seconds,
`_bytes` bytes, `_per_s` per second.
"""

from __future__ import annotations

from llmops.settings.alerting import AlertSettings
from llmops.settings.elastic import ElasticSettings
from llmops.settings.gauging import GaugeSettings
from llmops.settings.keeping import StoreSettings
from llmops.settings.record import EventSettings, StateSettings
from llmops.settings.section import Section
from llmops.settings.serving import AdmissionSettings, EngineSettings, GpuSettings, ServeSettings
from llmops.settings.watching import BenchSettings, CanarySettings, ObjectiveSettings, TuiSettings, WatchSettings


class Settings(Section):
    """All of them."""

    state: StateSettings = StateSettings()
    serve: ServeSettings = ServeSettings()
    engine: EngineSettings = EngineSettings()
    admission: AdmissionSettings = AdmissionSettings()
    events: EventSettings = EventSettings()
    store: StoreSettings = StoreSettings()
    gpu: GpuSettings = GpuSettings()
    watch: WatchSettings = WatchSettings()
    bench: BenchSettings = BenchSettings()
    canary: CanarySettings = CanarySettings()
    objectives: ObjectiveSettings = ObjectiveSettings()
    gauges: GaugeSettings = GaugeSettings()
    alerts: AlertSettings = AlertSettings()
    elastic: ElasticSettings = ElasticSettings()
    tui: TuiSettings = TuiSettings()
