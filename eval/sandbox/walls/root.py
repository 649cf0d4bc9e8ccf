"""The files that a walled-in program sees: Python's library, what it loads, and a scratch."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from eval.sandbox.walls import kernel

SCRATCH = "/tmp"  # in the wall's own root
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_SYSTEM = ("/", "/usr", "/usr/local")
_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives")
_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")


def library_paths() -> list[str]:
    """Folders and files that the interpreter and its modules are loaded from."""
    paths = sysconfig.get_paths()
    found = [paths["stdlib"], paths["platstdlib"]]
    prefix = sys.base_prefix
    if prefix in _SYSTEM:
        for folder in (Path(prefix, "lib"), Path(prefix, "lib64")):
            found += [str(path) for path in folder.glob("libpython*.so*")]
    else:
        found.append(f"{prefix}/lib")
    machine = sysconfig.get_config_var("MULTIARCH")
    folders = [f"/lib/{machine}", f"/usr/lib/{machine}"]
    if not machine or not os.path.isdir(folders[1]):
        folders = ["/lib", "/usr/lib"]
    found += [*folders, "/lib64", "/usr/lib64"]
    return _without_nested(path for path in found if os.path.exists(path))


def _without_nested(paths: Iterator[str]) -> list[str]:
    found: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(f"{outer}/") for outer in found):
            found.append(path)
    return found


def hidden_folders(library: list[str]) -> list[str]:
    """Folders of installed packages inside the library's."""
    stdlib = sysconfig.get_paths()["stdlib"]
    names = [f"{stdlib}/{name}" for name in ("site-packages", "dist-packages")]
    inside = [n for n in names if any(n.startswith(f"{p}/") for p in library)]
    return [name for name in inside if os.path.isdir(name)]


def enter(packages: list[str], tools: list[str] | None = None) -> None:
    """Make a new root with the library, read-only, and go into it. Raises OSError.

    The process must have mounts of its own, and be allowed to change them. `packages` are shown
    at their paths. `tools`: folders that are shown besides the system's programs; None:
    neither these nor those.
    """
    library = library_paths()
    if tools is not None:
        links = [path for path in _PROGRAMS if os.path.islink(path)]
        settings = map(str, Path("/etc").glob("java*"))
        shown = [*(p for p in _PROGRAMS if p not in links), *settings, *tools, *library]
        library = _without_nested(
            path for path in shown if not f"{path}/".startswith(tuple(f"{link}/" for link in links))
        )
    else:
        links = []
    targets = {path: os.readlink(path) for path in links}
    hidden = hidden_folders(library)
    base = next(path for path in ("/tmp", "/var", "/mnt") if os.path.isdir(path))
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    safe = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", base, "tmpfs", safe, "size=1m,mode=755")
    os.mkdir(f"{base}/old")
    kernel.pivot_root(base, f"{base}/old")
    os.chdir("/")
    for path in (*library, *_FILES):
        if not any(path.startswith(f"{outer}/") for outer in library):
            _show(path, path)
    for path, target in targets.items():
        os.symlink(target, path)
    for path in packages:
        _show(path, path)
        os.chmod(os.path.dirname(path), 0o555)  # an import looks through the folder
    for path in hidden:
        kernel.mount("tmpfs", path, "tmpfs", safe | kernel.MS_RDONLY, "size=4k")
    for path in DEVICES:
        _make_place(path, is_folder=False)
        kernel.mount(f"/old{path}", path, "", kernel.MS_BIND)
    os.makedirs(SCRATCH, exist_ok=True)
    kernel.detach("/old")
    os.rmdir("/old")
    kernel.mount("none", "/", "", kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | safe)


def _make_place(path: str, is_folder: bool) -> None:
    """A place for a mount. The folders above it show nothing: they may be called as a user is."""
    here = ""
    for part in path.strip("/").split("/")[:-1]:
        here += f"/{part}"
        if not os.path.isdir(here):
            os.mkdir(here, 0o111)
    if is_folder:
        os.makedirs(path, exist_ok=True)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _show(source: str, target: str) -> None:
    """Show a file or folder of the old root at a place of the new one, read-only."""
    source = "/old" + _without_links(source)
    if not os.path.exists(source):
        return
    _make_place(target, os.path.isdir(source))
    kernel.mount(source, target, "", kernel.MS_BIND | kernel.MS_REC)
    # What the old mount forbids cannot be allowed again: the flags are kept.
    flags = os.statvfs(target).f_flag
    kept = flags & (kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kept |= (flags & 1024) | (flags & 2048) | (flags & 4096) << 9  # noatime, nodiratime, relatime
    forbid = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID
    kernel.mount("none", target, "", forbid | kernel.MS_NODEV | kept)


def _without_links(path: str) -> str:
    """The path of the old root, whose own links would lead into the new one."""
    parts, done = path.strip("/").split("/"), ""
    for _ in range(40):
        if not parts:
            return done
        part, *parts = parts
        here = f"{done}/{part}"
        if os.path.islink(f"/old{here}"):
            target = os.readlink(f"/old{here}")
            whole = target if target.startswith("/") else f"{done}/{target}"
            parts = os.path.normpath(whole).strip("/").split("/") + parts
            done = ""
        else:
            done = here
    raise OSError(f"too many links: {path}")


def mount_scratch(size_bytes: int, inodes: int, executable: bool) -> None:
    """A new, empty scratch in memory, which goes with this process's mounts. Raises OSError."""
    options = f"size={size_bytes},nr_inodes={inodes},mode=700"
    safe = kernel.MS_NOSUID | kernel.MS_NODEV | (0 if executable else kernel.MS_NOEXEC)
    kernel.mount("tmpfs", SCRATCH, "tmpfs", safe, options)
