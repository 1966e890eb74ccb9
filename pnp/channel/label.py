"""Texts that go with a channel and take no part in what is solved."""

import equinox as eqx


class Label:
    """Name, description and validity of a channel. Any two labels are equal.

    JAX looks compiled programs up by the static part of their arguments, and combines two pytrees only if
    their static parts are equal. If texts were compared by value, every name would compile its own
    programs, and channels of different names could not be stacked. Since they are not, a channel
    *returned by* a compiled function has the label of the channel that the function was compiled for.
    """

    __slots__ = ("description", "name", "validity")

    def __init__(self, name: str, description: str = "", validity: str = ""):
        self.name, self.description, self.validity = name, description, validity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Label)

    def __hash__(self) -> int:
        return hash(Label)

    def __repr__(self) -> str:
        return repr(self.name)


class Labelled(eqx.Module):
    """What has a label."""

    label: eqx.AbstractVar[Label]

    @property
    def name(self) -> str:
        """What it is called in messages and files."""
        return self.label.name

    @property
    def description(self) -> str:
        """One line on what it is; may be empty."""
        return self.label.description

    @property
    def validity(self) -> str:
        """One line on how far to trust it; may be empty."""
        return self.label.validity
