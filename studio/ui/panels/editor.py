"""What a kind of ControlNet unit brings to the Control section: the tool with which its picture is made on the page itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Editor:
    """One kind's own tool.

    Its script registers `studio.controlEditors[kind]`; what that function gets and returns stands at the head of `web/control.js`.

    Attributes:
        kind: which units it serves: `sketch`, `depth` or `pose`.
        verb: what one does with it, as its button says, such as "Draw".
        markup: its static HTML, handed to the script as `element`.
        server_functions: what the script may call, as `server.<name>`; names begin with the kind, because all editors share one widget.
    """

    kind: str
    verb: str
    markup: str
    server_functions: tuple[Callable[..., Any], ...] = ()
