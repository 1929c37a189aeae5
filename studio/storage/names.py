"""Names as the disk has them: any bytes may be one, and what is no text goes neither onto a page nor into JSON."""


def shown(name: str) -> str:
    r"""Return a name as it can be shown; bytes that are no text become such as `\udcff`."""
    return name.encode("utf-8", "backslashreplace").decode()


def left_out(names: list[str]) -> str:
    """Say in a sentence that files or folders, at least one, are left out because of their names."""
    if len(names) == 1:
        return f"{shown(names[0])} is left out, as its name is no text; rename it."
    others = "1 other" if len(names) == 2 else f"{len(names) - 1} others"
    return f"{shown(names[0])} and {others} are left out, as their names are no text; rename them."
