"""The negative LoRA as an experiment: make wrong pictures, train a LoRA on them, compare five ways of using it."""
