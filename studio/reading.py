"""One at a time reads weights: diffusers and transformers patch torch.nn.Module meanwhile, and modules that another thread makes then, a
detector of the control section or a second studio in this process, come out without their weights.
"""

import threading

READING = threading.Lock()
"""Held by whoever builds modules. Nobody who holds it calls anything that takes it."""
