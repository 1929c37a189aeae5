"""`launch.py token`: makes, lists and revokes tokens for programs; a running studio knows of it within a second."""

import argparse
import math
import time
from collections.abc import Sequence
from typing import get_args

from studio.access import Quota
from studio.access.rules import MOST_HOURS, MOST_PER_HOUR, MOST_WAITING, clean_name
from studio.app import access
from studio.arguments import place, whole
from studio.errors import StudioError
from studio.people import Role
from studio.request import shorten
from studio.settings import Settings, default_data_dir

MOST_DAYS = MOST_HOURS / 24


def tokens(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Do what the command line says.

    Raises:
        StudioError: something is out of bounds, or no token has that id.
    """
    parser.description = "Make, list and revoke tokens, which programs show as `Authorization: Bearer ...`."
    parser.add_argument("--data-dir", default=default_data_dir(), type=place, help="folder of everything the studio keeps (~/.studio)")
    actions = parser.add_subparsers(dest="action", required=True, metavar="make | list | revoke")
    make = actions.add_parser("make", help="make one; it is shown only this once")
    make.add_argument("name", type=_name, help="how you will know it again")
    make.add_argument("--role", default="maker", choices=get_args(Role), help="(maker)")
    make.add_argument("--days", type=_days, help=f"for how long it is good, up to {MOST_DAYS:g} (for ever)")
    make.add_argument("--per-hour", type=_per_hour, default=Quota().per_hour, help=f"megapixel-steps an hour ({Quota().per_hour:g})")
    make.add_argument("--waiting", type=whole(MOST_WAITING), default=Quota().waiting, help=f"pictures waiting at once ({Quota().waiting})")
    actions.add_parser("list", help="show all, without their secrets")
    actions.add_parser("revoke", help="end one").add_argument("id", help="as the list shows it")
    _do(parser.parse_args(arguments))


def _do(options: argparse.Namespace) -> None:
    register = access(Settings(data_dir=options.data_dir))
    if options.action == "make":
        quota = Quota(per_hour=options.per_hour, waiting=options.waiting)
        hours = None if options.days is None else options.days * 24
        token, secret = register.make_token(options.role, name=options.name, hours=hours, quota=quota)
        print(f"{token.id}, a {token.role}'s. It is not shown again:\n{secret}")
    elif options.action == "list":
        for each in register.tokens():
            until = "for ever" if each.until is None else f"until {_day(each.until)}"
            print(f"{each.id}  {each.role:6}  {until}  last used {_day(each.seen) if each.seen else 'never'}  {each.name}")
    elif not options.id.startswith("token-") or not register.withdraw(options.id):
        raise StudioError(f"There is no token {options.id[:60]}; launch.py token list shows all.")
    else:
        print(f"{options.id} is revoked.")


def _name(text: str) -> str:
    if not (name := clean_name(text)):
        raise argparse.ArgumentTypeError("must be a name, so that you know the token again")
    return name


def _days(text: str) -> float:
    if not 0 < (days := _number(text)) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"must be a number of days above 0 and up to {MOST_DAYS:g}, not {shorten(text)}")
    return days


def _per_hour(text: str) -> float:
    if not 0 <= (megapixel_steps := _number(text)) <= MOST_PER_HOUR:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {MOST_PER_HOUR:,.0f}, not {shorten(text)}")
    return megapixel_steps


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        # Which is within no bounds.
        return math.nan


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
