"""The small Stable Diffusion model that ships with the project: data, training, judges, evaluation."""
