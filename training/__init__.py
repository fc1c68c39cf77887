"""What learns: data → clean → split → fine-tune → calibrate → export → parity → evaluate → save."""

import os

# torch's threads spin while they wait for each other. Where another process has one of the cores that makes
# training five times slower (measured on two cores); on a quiet machine waiting asleep costs nothing that shows.
# OpenMP reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
