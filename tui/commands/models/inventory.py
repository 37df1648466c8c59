"""The models of this machine, as the commands ask for them."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.configuration.settling import Settled
from proxy.local_models.local_models import LocalModels, NoSuchModel
from proxy.local_models.stores import FoundModel
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, surroundings


@dataclass(frozen=True)
class Inventory(LocalModels):
    """The models, and the configuration with where each value came from."""

    settled: Settled

    @staticmethod
    def settle(invocation: Invocation) -> Inventory:
        """The stores that there are.

        Raises:
            proxy.configuration.settled.ConfigError, CommandFailed: see `Invocation`.
        """
        settled = invocation.settle()
        cwd, user_home = surroundings()
        found = LocalModels.of(settled.config, invocation.environ, user_home, cwd)
        return Inventory(found.config, found.stores, found.room, found.cwd, settled)

    def find(self, text: str, *, in_part: bool = True) -> FoundModel:
        """As `LocalModels.find`.

        Raises:
            CommandFailed: there is none, or more than one of that name.
        """
        try:
            return super().find(text, in_part=in_part)
        except NoSuchModel as error:
            raise CommandFailed(ExitCode.USAGE, str(error)) from None
