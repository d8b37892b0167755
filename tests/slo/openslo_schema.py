"""An SLO as the specification of OpenSLO v1 has it, as a JSON schema."""

from __future__ import annotations

NAME = {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"}
LABEL = {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9A-Z][a-z0-9A-Z._-]*[a-z0-9A-Z]*$"}
METADATA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": NAME,
        "displayName": {"type": "string", "minLength": 1},
        "annotations": {"type": "object", "additionalProperties": LABEL},
    },
    "additionalProperties": False,
}
METRIC = {
    "type": "object",
    "required": ["metricSource"],
    "properties": {
        "metricSource": {
            "type": "object",
            "required": ["spec"],
            "properties": {"type": {"type": "string"}, "spec": {"type": "object"}},
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
RATIO = {
    "type": "object",
    "required": ["counter", "good", "total"],
    "properties": {"counter": {"type": "boolean"}, "good": METRIC, "total": METRIC},
    "additionalProperties": False,
}
GOAL = {
    "type": "object",
    "required": ["target"],
    "properties": {
        "op": {"enum": ["lte", "gte", "lt", "gt"]},
        "value": {"type": "number"},
        "target": {"type": "number", "minimum": 0.0, "exclusiveMaximum": 1.0},
    },
    "additionalProperties": False,
}
SPEC = {
    "type": "object",
    "required": ["service", "indicator", "timeWindow", "budgetingMethod", "objectives"],
    "properties": {
        "service": NAME,
        "indicator": {
            "type": "object",
            "required": ["metadata", "spec"],
            "properties": {
                "metadata": METADATA,
                "spec": {
                    "type": "object",
                    "properties": {"thresholdMetric": METRIC, "ratioMetric": RATIO},
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        },
        "timeWindow": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["duration", "isRolling"],
                "properties": {
                    "duration": {"type": "string", "pattern": "^[1-9][0-9]*[mhdwMQY]$"},
                    "isRolling": {"const": True},
                },
                "additionalProperties": False,
            },
        },
        "budgetingMethod": {"enum": ["Occurrences", "Timeslices", "RatioTimeslices"]},
        "objectives": {"type": "array", "minItems": 1, "items": GOAL},
    },
    "additionalProperties": False,
}
SLO = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {"apiVersion": {"const": "openslo/v1"}, "kind": {"const": "SLO"}, "metadata": METADATA, "spec": SPEC},
    "additionalProperties": False,
}
"""An SLO as README.md of OpenSLO/OpenSLO describes it, so far as it is written here."""
