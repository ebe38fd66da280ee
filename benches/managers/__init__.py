"""The managers that the benches measure: orchestra, its peers, and the world they run in."""

from .base import Manager
from .orchestra import Orchestra
from .others import Circus, Pm2, ProcessCompose
from .procfile import Concurrently, Foreman, Goreman, Hivemind, Honcho, Overmind
from .trees import Runit, S6, Supervisord
from .world import World, alive, parent, write

PEERS = [ProcessCompose, Overmind, Hivemind, Goreman, Honcho, Foreman, Concurrently, Supervisord, Circus, S6, Runit, Pm2]

__all__ = [
    "PEERS", "Circus", "Concurrently", "Foreman", "Goreman", "Hivemind", "Honcho", "Manager", "Orchestra", "Overmind", "Pm2", "ProcessCompose", "Runit", "S6",
    "Supervisord", "World", "alive", "parent", "write",
]
