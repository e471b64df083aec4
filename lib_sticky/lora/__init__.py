"""LoRAs: read every kohya and LyCORIS form, bake into a checkpoint, merge, extract."""
