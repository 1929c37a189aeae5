"""The page and the HTTP endpoint. The only place that imports gradio; it calls `Studio` and `Job` and nothing below them."""
