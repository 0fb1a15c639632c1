"""Configuring and compiling the presets of CMakePresets.json."""
import json
import os

from .shell import BUILD, Failure, ROOT, Stopwatch, run, step


def preset_names():
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    return [preset["name"] for preset in presets if not preset.get("hidden")]


def build(preset="dev", targets=(), jobs=None):
    """Configures the preset when needed and builds its targets (all without an argument)."""
    watch = Stopwatch()
    step(f"build {preset}" + (f": {' '.join(targets)}" if targets else ""))
    if not (BUILD / preset / "build.ninja").exists():
        run(["cmake", "--preset", preset, "--log-level=WARNING"],
            hint="If a package was not found, run ./dev setup; "
                 f"after changing compilers remove build/{preset}.")
    command = ["cmake", "--build", "--preset", preset, "--parallel", jobs or os.cpu_count() or 1]
    if targets:
        command += ["--target", *targets]
    run(command, hint="The first error above is the one to look at.")
    print(f"   built in {watch}", flush=True)


def build_command(arguments):
    if arguments.preset not in preset_names():
        raise Failure(f"no preset {arguments.preset}; there are {', '.join(preset_names())}")
    build(arguments.preset, arguments.targets, arguments.jobs)
