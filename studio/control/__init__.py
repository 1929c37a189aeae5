"""Preprocessors: from a picture to the map a ControlNet follows, and how well a result follows it. Heavy libraries load late."""
