"""Mini: a small Stable-Diffusion-architecture model family and the code that renders its world, trains and measures it."""
