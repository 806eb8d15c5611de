"""What showing a run needs of this machine: a display and its refresh, keys, ports, a browser, the BIDS validator."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path

from experiment.online import doctor as online
from experiment.urgency import make_urgent
from protocols.doctor import Finding, is_installed, not_installed

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "firefox")
MAC_BROWSERS = ("Google Chrome", "Chromium", "Firefox", "Microsoft Edge")
WINDOW_TIMEOUT_S = 60.0
FLIPS = 120
# A software renderer on a virtual display flips at once: its intervals are no refresh.
SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "swr")


@dataclass(frozen=True)
class WindowReport:
    """What a PsychoPy window said of itself in a process of its own.

    renderer         : OpenGL's name for what draws.
    size_px          : (width, height) of the window.
    flip_intervals_s : time between successive flips, in order.
    keyboard_backend : PsychoPy's name for what reads the keys.
    screens          : the screens that a rig may name, in the order of their numbers.
    """

    renderer: str
    size_px: tuple[int, int]
    flip_intervals_s: tuple[float, ...]
    keyboard_backend: str
    screens: tuple[str, ...] = ()


def probes() -> list[Finding]:
    """The display and its refresh, the keyboard, triggers, fonts, a browser, the BIDS validator, and the task in the browser."""
    return [*window_and_keyboard(), *ports(), fonts(), browser(), bids_validator(), *online.probes()]


# --- the display and the keyboard -----------------------------------------------------------------------------------


def has_display(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether windows can open: always on Windows and macOS, elsewhere where an X or Wayland display is named."""
    return platform in ("win32", "darwin") or bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def window_and_keyboard() -> list[Finding]:
    """Open a PsychoPy window for two seconds in another process, and judge what it reports."""
    if not is_installed("psychopy"):
        return [not_installed(topic, "psychopy", "experiment") for topic in ("display", "keyboard")]
    if not has_display(sys.platform, os.environ):
        return [no_display(shutil.which("Xvfb") is not None), keyboard_without_window()]
    try:
        report = measure_in_a_process()
    except (OSError, RuntimeError) as error:
        remedy = "try `glxinfo -B`: OpenGL must work; on Debian and Ubuntu run `make setup`"
        return [Finding("display", "missing", f"no window opens: {error}", remedy), keyboard_without_window()]
    return [display(report), keyboard(report.keyboard_backend)]


def no_display(virtual: bool) -> Finding:
    """No screen is attached.

    virtual : whether Xvfb can stand in.
    """
    if virtual:
        what = "none; rehearsals run on a virtual display (Xvfb), whose timing says nothing about a screen"
        return Finding("display", "limited", what, "for real sessions run on a machine with a screen")
    return Finding(
        "display",
        "missing",
        "no display, and no Xvfb to stand in for one",
        "sudo apt-get install --no-install-recommends xvfb libgl1-mesa-dri, or set DISPLAY",
    )


def display(report: WindowReport) -> Finding:
    """The display's size and refresh, from the flips of a window; a software renderer has no refresh to measure."""
    width, height = report.size_px
    what = f"{width} × {height} px, {report.renderer}"
    if len(report.screens) > 1:
        what = f"screens {'; '.join(report.screens)} (looked at one: {what})"
    if any(name in report.renderer.lower() for name in SOFTWARE_RENDERERS):
        return Finding(
            "display",
            "limited",
            f"{what}: drawn in software, flips wait for no refresh, so none was measured",
            "good for rehearsals; for real sessions use a graphics card with its driver",
        )
    interval_s = statistics.median(report.flip_intervals_s)
    late = sum(interval > 1.5 * interval_s for interval in report.flip_intervals_s)
    jitter_s = statistics.pstdev(report.flip_intervals_s)
    what += f", {1 / interval_s:.2f} Hz measured (SD {jitter_s * 1000:.2f} ms, {late} of {FLIPS} flips late)"
    if 1 / interval_s > 500 or jitter_s > 0.25 * interval_s or late > FLIPS // 20:
        return Finding("display", "limited", what, "switch on vertical sync, close other programs, use one screen")
    return Finding("display", "ok", what)


def keyboard(backend: str) -> Finding:
    """Which of PsychoPy's backends reads the keys."""
    if backend in ("ptb", "iohub"):
        return Finding("keyboard", "ok", f"{backend} backend: keys are stamped by the driver")
    return Finding(
        "keyboard",
        "limited",
        f"{backend} backend: one key per poll, stamped when polled",
        "Debian, Ubuntu: sudo apt-get install libjack-jackd2-0; elsewhere: pip install psychtoolbox",
    )


def keyboard_without_window() -> Finding:
    """Whether the keyboard's driver loads, where no window can open to ask PsychoPy."""
    code = "from psychtoolbox import hid"
    loads = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=WINDOW_TIMEOUT_S).returncode == 0
    return keyboard("ptb" if loads else "event")


def measure_in_a_process(timeout_s: float = WINDOW_TIMEOUT_S) -> WindowReport:
    """Run `measure_window` in another process: a driver that crashes or hangs must not take the doctor with it.

    timeout_s : how long to wait.

    Raises RuntimeError with the last line the process wrote when no window opened.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "experiment.doctor"],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"no answer within {timeout_s:.0f} s") from error
    reports = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not reports:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else f"exit status {done.returncode}")
    return parse_report(reports[-1])


def parse_report(text: str) -> WindowReport:
    """The report from the JSON line that the measuring process prints."""
    fields = json.loads(text)
    return WindowReport(
        renderer=str(fields["renderer"]),
        size_px=(int(fields["size_px"][0]), int(fields["size_px"][1])),
        flip_intervals_s=tuple(float(interval) for interval in fields["flip_intervals_s"]),
        keyboard_backend=str(fields["keyboard_backend"]),
        screens=tuple(fields.get("screens", ())),
    )


def measure_window() -> WindowReport:
    """Open a full-screen window, flip it, and say what was seen (blocks for about two seconds)."""
    from psychopy import core, visual
    from psychopy.hardware.keyboard import Keyboard
    from pyglet.gl import gl_info

    from experiment.screen_list import listed, screens

    window = visual.Window(fullscr=True, units="pix", color=0, allowGUI=False, waitBlanking=True, checkTiming=False)
    clock = core.Clock()
    for _ in range(10):
        window.flip()
    times_s = []
    for _ in range(FLIPS + 1):
        window.flip()
        times_s.append(clock.getTime())
    backend = str(Keyboard().getBackend())
    width, height = (int(side) for side in window.size)
    renderer = str(gl_info.get_renderer())
    window.close()
    intervals_s = tuple(later - earlier for earlier, later in itertools.pairwise(times_s))
    return WindowReport(renderer, (width, height), intervals_s, backend, listed(screens()))


# --- triggers -------------------------------------------------------------------------------------------------------


def ports() -> list[Finding]:
    """Where a scanner's pulses can come in besides the keyboard, and whether their stamps wait for other programs."""
    return [
        serial_ports(),
        parallel_ports(sorted(Path("/dev").glob("parport*"))),
        lab_streaming_layer(),
        foreign_sources(),
        thread_urgency(),
    ]


def serial_ports() -> Finding:
    """The serial ports that are there, and whether this user may open them."""
    if not is_installed("serial"):
        return not_installed("serial", "pyserial", "experiment")
    from serial.tools import list_ports

    devices = sorted(port.device for port in list_ports.comports())
    if not devices:
        return Finding(
            "serial", "limited", "no port on this machine", "plug the trigger box in; emulated pulses need none"
        )
    closed = [device for device in devices if device.startswith("/") and not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        remedy = "sudo usermod -aG dialout $USER, then log in again"
        return Finding("serial", "limited", f"{', '.join(closed)} may not be opened by this user", remedy)
    return Finding("serial", "ok", ", ".join(devices))


def parallel_ports(devices: Sequence[Path]) -> Finding:
    """The parallel ports (on Windows the driver decides; only a session on the machine can tell).

    devices : device files of parallel ports.
    """
    if sys.platform == "win32":
        what = "Windows names none: the inpout driver decides"
        return Finding("parallel", "limited", what, "install inpoutx64 and give the port's address in the rig file")
    if not devices:
        remedy = "only needed if the trigger comes by a parallel port: sudo modprobe ppdev"
        return Finding("parallel", "limited", "no port on this machine", remedy)
    if not is_installed("parallel"):
        return Finding("parallel", "limited", f"{devices[0]} without its driver", "pip install pyparallel")
    closed = [str(device) for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        return Finding(
            "parallel", "limited", f"{closed[0]} may not be opened by this user", "sudo usermod -aG lp $USER"
        )
    return Finding("parallel", "ok", ", ".join(str(device) for device in devices))


def lab_streaming_layer() -> Finding:
    """Whether pulses and markers can travel by the Lab Streaming Layer: the package, and the library it needs."""
    if not is_installed("pylsl"):
        remedy = "only needed if the trigger comes by LSL: pip install 'foolscan[lsl]'"
        return Finding("LSL", "limited", "pylsl is not installed", remedy)
    try:
        import pylsl

        version = pylsl.library_version()
    except Exception as error:  # pylsl raises RuntimeError without liblsl, and the loader what it likes
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return Finding(
            "LSL", "limited", f"pylsl does not load: {what}", "pip install --upgrade pylsl, or install liblsl"
        )
    return Finding("LSL", "ok", f"pylsl with liblsl {version // 100}.{version % 100}")


def foreign_sources() -> Finding:
    """The trigger sources that other packages publish."""
    names = sorted(point.name for point in entry_points(group="foolscan.triggers"))
    return Finding("other triggers", "ok", ", ".join(names) if names else "no package publishes one (none is needed)")


def thread_urgency() -> Finding:
    """Whether the system lets the threads that stamp pulses and draw frames run before other programs."""
    with ThreadPoolExecutor(1) as pool:
        granted = pool.submit(make_urgent).result()
    if granted == "realtime":
        return Finding("urgency", "ok", "pulses are stamped and frames drawn before other programs run")
    if sys.platform == "darwin":
        return Finding("urgency", "limited", "macOS grants none to ask for", "close other programs during a session")
    what = "other programs can make stamps and flips late"
    remedy = (
        "Linux: sudo groupadd -f realtime; sudo usermod -aG realtime $USER; then the line '@realtime - rtprio 10' into "
    )
    return Finding("urgency", "limited", what, remedy + "/etc/security/limits.d/realtime.conf, and log in again")


# --- text, browser, validator ---------------------------------------------------------------------------------------


def fonts() -> Finding:
    """The scripts in which text can be written in the window."""
    if not is_installed("freetype"):
        return not_installed("fonts: window", "freetype-py", "experiment")
    from experiment.fonts import SAMPLES, font_for
    from protocols.problems import FoolscanError

    lacking = []
    for script, sample in SAMPLES.items():
        try:
            font_for(sample)
        except FoolscanError:
            lacking.append(script)
    there = ", ".join(script for script in SAMPLES if script not in lacking)
    remedy = "sudo apt-get install --no-install-recommends fonts-dejavu-core fonts-wqy-microhei fonts-noto-core"
    if "Latin" in lacking:
        return Finding("fonts: window", "missing", "no font with Latin letters", remedy)
    if lacking:
        return Finding("fonts: window", "limited", f"{there}; not {', '.join(lacking)}", f"only for those: {remedy}")
    return Finding("fonts: window", "ok", there)


def browser() -> Finding:
    """A browser that the tasks can be tried in (people who take part use their own)."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if sys.platform == "darwin":
        applications = (Path("/Applications") / f"{name}.app" for name in MAC_BROWSERS)
        found += [str(path) for path in applications if path.exists()]
    if sys.platform == "win32":
        folders = [os.environ.get(name, "") for name in ("PROGRAMFILES", "PROGRAMFILES(X86)")]
        for folder, program in ((folder, program) for folder in folders for program in WINDOWS_BROWSERS):
            if folder and (Path(folder) / program).exists():
                found.append(program)
    if found:
        return Finding("browser", "ok", found[0])
    remedy = "only needed for online tasks: sudo apt-get install --no-install-recommends chromium, or install any"
    return Finding("browser", "limited", "no Chromium, Chrome, Edge or Firefox found", remedy)


WINDOWS_BROWSERS = (
    "Google/Chrome/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
    "Mozilla Firefox/firefox.exe",
)


def bids_validator() -> Finding:
    """The validator that judges the study folder."""
    beside_python = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if beside_python or shutil.which("bids-validator-deno"):
        return Finding("BIDS validator", "ok", "bids-validator-deno")
    return not_installed("BIDS validator", "bids-validator-deno", "experiment")


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # PsychoPy prints on import; the answer must stand alone
        measured = measure_window()
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")
