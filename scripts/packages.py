"""Collect the Python sources of wheels in a folder for `python -m data build --path`.

    python scripts/packages.py weights/small/packages.txt data/packages

The list has one package per line: a name, or name==version. pip downloads the wheels to
FOLDER.wheels (about 1 GB for the list above), and the .py files of all wheels there are unpacked.
Left out are packages with a copyleft licence in their metadata, packages of generated code, tests,
and vendored copies of other packages. Of each top-level folder at most 6 MB are kept, chosen by a
hash of the file names.
"""

import email
import email.message
import hashlib
import re
import subprocess
import sys
import zipfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COPYLEFT = re.compile(r"GPL|General Public|MPL|Mozilla|BUSL|SSPL", re.IGNORECASE)
GENERATED = {
    "kubernetes", "google-ads", "google-cloud-compute", "azure-mgmt-network",
    "azure-mgmt-compute", "stripe",
}  # fmt: skip
NOT_SOURCES = {"tests", "test", "testing", "vendor", "_vendor", "_vendored"}
MOST_BYTES = 6_000_000


def fetch(name: str, folder: Path) -> str | None:
    """Download one wheel. Returns pip's error message, or None if it succeeded."""
    command = [sys.executable, "-P", "-m", "pip", "download", "-q", "--no-deps"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", "-d", str(folder), name],
        check=False,
        capture_output=True,
        text=True,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return f"{name}: {(errors or ['pip failed'])[-1]}" if done.returncode else None


def reason_to_leave_out(metadata: email.message.Message) -> str | None:
    """Why a package is left out, by its name and the first line of each licence field, or None."""
    if re.sub(r"[-_.]+", "-", str(metadata["Name"]).lower()) in GENERATED:
        return "generated"
    said = [str(metadata.get("License-Expression") or ""), str(metadata.get("License") or "")]
    said += [c for c in metadata.get_all("Classifier") or [] if c.startswith("License")]
    copyleft = [text for text in said if COPYLEFT.search(text.split("\n")[0])]
    return copyleft[0] if copyleft else None


def sources(wheel: Path) -> tuple[str | None, dict[str, bytes]]:
    """The reason to leave a wheel out, or None, and its sources by path (none if left out).

    Raises BadZipFile or UnicodeDecodeError if the wheel is damaged.
    """
    with zipfile.ZipFile(wheel) as archive:
        described = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        named = min(described, key=len, default=None)
        if named is None:
            raise zipfile.BadZipFile("no METADATA")
        metadata = email.message_from_string(archive.read(named).decode())
        reason = reason_to_leave_out(metadata)
        names = [] if reason else [n for n in archive.namelist() if _is_source(n)]
        return reason, {name: archive.read(name) for name in names}


def _is_source(name: str) -> bool:
    *folders, file = name.split("/")
    inside = ".." not in folders and not name.startswith("/")
    return (
        inside
        and file.endswith(".py")
        and not file.startswith("test_")
        and not NOT_SOURCES & set(folders)
    )


def chosen(sizes: dict[str, int]) -> list[str]:
    """The paths to keep: up to MOST_BYTES of each top-level folder, in the order of their hash."""
    found, taken = [], defaultdict[str, int](int)
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        top = name.split("/")[0]
        if taken[top] + sizes[name] <= MOST_BYTES:
            taken[top] += sizes[name]
            found.append(name)
    return found


def main(arguments: list[str]) -> int:
    """Download, choose and write. Returns 0, 1 (wheels are missing) or 2 (wrong arguments)."""
    if len(arguments) != 2 or not Path(arguments[0]).is_file():
        print("usage: python scripts/packages.py LIST FOLDER (LIST is a file)", file=sys.stderr)
        return 2
    listed, folder = Path(arguments[0]), Path(arguments[1])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        print(f"error: {folder} is there; give a folder that is not", file=sys.stderr)
        return 2
    wheels = folder.with_name(folder.name + ".wheels")
    with ThreadPoolExecutor(8) as pool:
        names = listed.read_text(encoding="utf-8").split()
        missing = [said for said in pool.map(lambda name: fetch(name, wheels), names) if said]
    kept: dict[str, bytes] = {}
    for wheel in sorted(wheels.glob("*.whl")):
        try:
            reason, found = sources(wheel)
        except (zipfile.BadZipFile, UnicodeDecodeError) as error:
            missing.append(f"{wheel.name} is damaged ({error}): delete it and run this again")
            continue
        if reason:
            print(f"left out {wheel.name}: {reason}", file=sys.stderr)
        kept |= found
    for name in chosen({name: len(content) for name, content in kept.items()}):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kept[name])
    print("\n".join(missing), file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
