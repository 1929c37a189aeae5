"""Pictures drawn for tests."""

from PIL import Image, ImageDraw


def scene() -> Image.Image:
    """Return a red disc before sky and grass, RGB, 192 x 128."""
    picture = Image.new("RGB", (192, 128), (90, 140, 200))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 80, 192, 128), fill=(60, 130, 50))
    draw.ellipse((60, 30, 130, 100), fill=(200, 40, 40))
    return picture
