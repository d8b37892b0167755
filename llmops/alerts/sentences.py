"""Every sentence that people read in an alert, in English; `chinese` has the same table."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "as_is": "{text}",
    "several": "{parts}",
    "and": "; ",
    "serve_down": "serve is down",
    "serve_down.unreachable": "serve does not answer: {why}",
    "serve_down.engine": "serve answers, but its engine is dead",
    "serve_down.crashed": "serve crashed and was started again",
    "serve_down.up": "serve answers",
    "serve_down.waiting": "serve is {state}",
    "vram": "Device memory is nearly full",
    "vram.above": "{device} uses {value:.0%} of its memory (limit {threshold:.0%})",
    "vram.below": "{device} uses {value:.0%} of its memory",
    "vram.unknown": "no sample of any device's memory",
    "journal_full": "The journal is full or cannot be written",
    "journal_full.stuck": "the journal of {writer} cannot be written ({why}); {waiting} events wait in memory",
    "journal_full.cap": "the journal holds {used} of at most {most}, and not all of it was read: unread events go next",
    "journal_full.calm": "the journal is written, and holds {used} of at most {most}",
    "record_lost": "Events of the record are lost",
    "record_lost.writer": "events lost by {writer}: {count}",
    "record_lost.removed": "events that left the journal at its hard cap before all its readers had them: {count}",
    "record_lost.calm": "no further event was lost",
    "slo.page": "{objective}: the error budget burns fast",
    "slo.ticket": "{objective}: the error budget burns",
    "slo.burning": (
        "{used} of {allowed} failures of the last {window} used; the budget burns {long:.1f} times too fast over "
        "{window_long} and {short:.1f} times over {window_short} (limit {threshold:g})"
    ),
    "slo.ahead": "at this pace the budget is spent in {span}",
    "slo.spent": "the budget is spent",
    "span.d": "{count} d",
    "span.h": "{count} h",
    "span.min": "{count} min",
    "slo.calm": "{used} of {allowed} failures of the last {window} used",
    "slo.no_data": "no requests to judge",
    "slo.held": "cannot be judged now: {why}",
    "held.serve_down": "serve is down",
    "held.page": "a page for this objective is active",
    "held.uncounted": "the record cannot be counted",
    "held.behind": "the journal is still being read",
    "not_judged": "its rule is no longer judged",
    "objective.success": "Requests succeed",
    "objective.duration": "Requests finish in under {threshold:g} s",
    "objective.ttft": "First tokens come in under {threshold:g} s",
    "objective.probe": "Probes are answered",
    "page": "PAGE",
    "ticket": "TICKET",
    "firing": "firing",
    "repeat": "still firing",
    "resolved": "resolved",
    "line": "{severity} {action}: {name}. {reason}. Since {since}{exemplars}. Runbook: {runbook}",
    "line.exemplars": ". Look at: {command}",
}
