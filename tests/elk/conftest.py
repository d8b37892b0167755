"""What tests of the stack share: a server to ask."""

from tests.elk.asking import asked

__all__ = ["asked"]
