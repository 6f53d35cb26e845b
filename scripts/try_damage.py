"""Damages each file of a run's newest checkpoint, and goes on: with the older one, saying so, or not at all.

    .venv/bin/python scripts/try_damage.py   # 20 flipped bits in each file, and each other damage once
    .venv/bin/python scripts/try_damage.py --trials 10 --seed 3

The best weights can be one file of both checkpoints: what damages it in place leaves no whole one, and ends
with exit code 6. Never may a run end with other bits. Ends with 1 if one trial is wrong.
"""

import argparse
import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tiny_resume import begin, copied, ended, goes_on, start, undisturbed

from bakeoff.runs.checkpoints import Checkpoints

DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "one bit flipped": lambda content, chance: _flipped(content, chance.randrange(8 * len(content))),
    "one byte cut": lambda content, _: content[:-1],
    "one byte more": lambda content, _: content + b"\0",
    "empty": lambda *_: b"",
    "missing": lambda *_: None,
}


def main() -> int:
    """Prints a line for each kind of damage; 1 if one trial is wrong."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--flips", type=int, default=20, help="how many flipped bits in each file")
    options.add_argument("--trials", type=int, default=0, help="how many, drawn at random; 0: all")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    folder, expected = undisturbed("try_damage-")
    begun = begin(folder / "begun", (5, 6), "finish")
    chance = random.Random(given.seed)
    files = sorted(path.name for path in (begun / "checkpoints" / f"step-{6:08d}").iterdir())
    trials = [
        (damage, name)
        for damage in DAMAGES
        for name in files
        for _ in range(given.flips if damage == "one bit flipped" else 1)
    ]
    if given.trials:
        trials = chance.sample(trials, min(given.trials, len(trials)))
    right: Counter[str] = Counter()
    for damage, name in trials:
        if problem := try_damage(begun, name, damage, chance, expected):
            print(f"WRONG {damage}, {name}: {problem}", flush=True)
        else:
            right[damage] += 1
    for damage, number in Counter(damage for damage, _ in trials).items():
        print(f"{damage}: {right[damage]} of {number} right ({len(files)} files)")
    wrong = len(trials) - right.total()
    if problem := none_is_whole(begun):
        wrong += 1
        print(f"WRONG best weights of both: {problem}")
    print(f"seed {given.seed}: {'all trials are right' if not wrong else f'{wrong} trials are wrong'}")
    shutil.rmtree(folder)
    return 1 if wrong else 0


def try_damage(begun: Path, name: str, damage: str, chance: random.Random, expected: dict[str, str]) -> str:
    """Damages one file of the newest checkpoint of a copy; what is wrong then."""
    run, output = copied(begun, begun.parents[2] / "run"), begun.parents[2] / "out"
    output.unlink(missing_ok=True)
    newest, _ = Checkpoints(run, 2).newest()
    assert newest is not None
    path = newest.path / name
    before = path.read_bytes()
    changed = DAMAGES[damage](before, chance)
    path.unlink()  # not in place: the best weights may be a file of two checkpoints
    if changed is not None:
        path.write_bytes(changed)
    if problem := goes_on(run, expected, output):
        return problem
    said = f"a checkpoint is damaged and is not used ({newest.path.name}: " in output.read_text()
    # The manifest's last byte is the end of a line: nothing is lost with it.
    harmless = changed is not None and name == "manifest.json" and _same_json(changed, before)
    return "" if said or harmless else "it was not said"


def none_is_whole(begun: Path) -> str:
    """Damages best weights that both checkpoints have: exit code 6, and nothing is touched."""
    run, output = copied(begun, begun.parents[2] / "run"), begun.parents[2] / "out"
    output.unlink(missing_ok=True)
    path = run / "checkpoints" / f"step-{6:08d}" / "best.safetensors"
    with open(path, "r+b") as file:
        file.write(bytes([path.read_bytes()[0] ^ 1]))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code = ended(start(["resume", str(run)], output=output))
    text = output.read_text()
    if code != 6 or "no checkpoint is whole" not in text:
        return f"exit code {code}: {text[-400:]}"
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    return "" if before == after else "something was touched"


def _same_json(first: bytes, second: bytes) -> bool:
    try:
        return bool(json.loads(first) == json.loads(second))
    except ValueError:
        return False


def _flipped(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


if __name__ == "__main__":
    sys.exit(main())
