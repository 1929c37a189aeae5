"""Groups of fields. A panel is layout only: labels, bounds and defaults live on the request."""
