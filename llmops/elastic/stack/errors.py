"""Why the stack can't be had: one sentence each, with the fix, and never a secret."""

from __future__ import annotations


class StackProblem(Exception):
    """`str(error)` is the sentence."""

    slug = "stack"


class ComposeProblem(StackProblem):
    """Docker or its Compose can't be used."""

    slug = "compose"


class EnvironmentProblem(StackProblem):
    """`.env`, or what would have to stand in it, is no good."""

    slug = "stack_environment"
