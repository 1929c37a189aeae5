"""What a LoRA file says about itself, and whether it fits a model. Headers only: no weight is read, no heavy library is needed."""
