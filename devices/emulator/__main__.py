"""`python -m devices.emulator`: a Neon phone on this computer, until it is interrupted."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from devices import numbers
from devices.device import DeviceError
from devices.emulator.announcement import announced
from devices.emulator.emulator import Emulator
from devices.emulator.faults import MEANINGS, FaultPlan, FaultSyntax, parse_faults
from devices.emulator.phone import Settings
from devices.emulator.programmes.drawn import draw_test_card, draw_wearer
from devices.emulator.programmes.programme import Programme
from devices.emulator.programmes.recorded import load_recording
from devices.emulator.programmes.sound import load_sound
from devices.neon import wire
from devices.parser import Parser

HARDWARE = {"neon": wire.NEON_HARDWARE, "invisible": wire.INVISIBLE_HARDWARE}


def arguments(command_line: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    kinds = "\n".join(f"  {name:15} {meaning}" for name, meaning in MEANINGS.items())
    parser = Parser(
        prog="python -m devices.emulator",
        description="A Neon Companion phone on this computer, for tests and demonstrations.",
        epilog=f"faults, as NAME[=VALUE][@START[+SECONDS]],... or soak:SEED:SECONDS:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    played = parser.add_mutually_exclusive_group()
    played.add_argument("--recording", type=Path, metavar="DIR", help="a native Neon recording")
    played.add_argument("--synthetic", action="store_true", help="the synthetic wearer (default)")
    played.add_argument("--card", action="store_true", help="a small moving test card")
    parser.add_argument(
        "--sound", type=Path, metavar="FILE", help="what its microphone hears (WAV), over and over"
    )
    parser.add_argument("--faults", default="", help="what goes wrong, and when; see below")
    parser.add_argument(
        "--seed", type=numbers.seed, default=0, help="of the faults and of the wearer"
    )
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument(
        "--port",
        type=numbers.whole(0, 65535),
        default=wire.HTTP_PORT,
        help="HTTP; 0 for any free one",
    )
    parser.add_argument(
        "--announce", action="store_true", help="let clients find it without an address"
    )
    parser.add_argument("--hardware", choices=HARDWARE, default="neon")
    parser.add_argument("--gaze-size", type=int, choices=wire.GAZE_SIZES, default=9)
    parser.add_argument(
        "--seconds",
        type=numbers.number(0, numbers.MOST_SECONDS, above=True, endless=True),
        default=float("inf"),
        help="stop after that long",
    )
    return parser.parse_args(command_line)


def programme(options: argparse.Namespace) -> Programme:
    """What the options ask to be played."""
    if options.recording:
        played = load_recording(options.recording)
    else:
        played = draw_test_card() if options.card else draw_wearer(options.seed)
    return replace(played, sound=load_sound(options.sound)) if options.sound else played


def serve(options: argparse.Namespace, plan: FaultPlan) -> None:
    """Run the emulator until the time is up or the user interrupts it."""
    settings = Settings(
        gaze_size=options.gaze_size,
        hardware=HARDWARE[options.hardware],
        events=options.hardware == "neon",
    )
    emulator = Emulator(
        programme(options),
        plan,
        settings,
        address=options.address,
        port=options.port,
        seed=options.seed,
    )
    with ExitStack() as stack:
        stack.enter_context(emulator)
        if options.announce:
            stack.enter_context(announced(emulator.address, emulator.port))
        print(
            f"{options.hardware} at {emulator.address}:{emulator.port}, playing "
            f"{emulator.programme.name} ({emulator.programme.length / 1e9:.1f} s, round and round)"
            f"\nfaults: {str(plan) or 'none'}"
            f"\nconnect: python -m runtime.live --device neon --address "
            f"{emulator.address}:{emulator.port}",
            flush=True,
        )
        while (left := options.seconds - emulator.elapsed()) > 0:
            time.sleep(min(left, 1.0))


def main() -> int:
    """The exit status: 1 after an error, which is one line."""
    options = arguments()
    try:
        serve(options, parse_faults(options.faults))
    except KeyboardInterrupt:
        pass
    except (DeviceError, FaultSyntax) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
