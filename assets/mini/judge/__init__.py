"""The judge: says what a picture shows. Trained on renderings only; it never sees what the diffusion model was asked for."""
