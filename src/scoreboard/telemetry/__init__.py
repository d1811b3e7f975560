"""What the service tells its operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scoreboard.telemetry.traces import Traces

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def open_traces(env: Mapping[str, str]) -> Traces | None:
    """The traces that OpenTelemetry's variables ask for; None when they ask for none, or when its
    packages are not installed. Nothing of it is imported before it is asked for.
    """
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(map(env.get, _ENDPOINTS)):
        return None
    try:
        from scoreboard.telemetry.traces import Traces  # noqa: PLC0415 - 7 MB and 90 ms
    except ImportError:
        return None
    return Traces()
