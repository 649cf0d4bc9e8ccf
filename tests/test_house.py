"""The rules of the house: who may import whom, and that files keep one subject."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import tree_sitter
import tree_sitter_cpp
from support import ROOT

import bytelm
import bytelm.toolkit

ROOMS = ("bytelm", "data", "eval")


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) for every import anywhere in a file; name is '' for `import module`."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                yield str(node.module), alias.name


def room_of(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_have_files(room: str) -> None:
    assert len(sources(room)) > 3


def test_bytelm_stands_on_the_ground() -> None:
    for path in sources("bytelm"):
        assert not {room_of(module) for module, _ in imports(path)} & {"data", "eval"}, path


@pytest.mark.parametrize(
    ("room", "faces"),
    [("data", {"bytelm.toolkit"}), ("eval", {"bytelm", "bytelm.toolkit"})],
)
def test_siblings_use_only_the_faces(room: str, faces: set[str]) -> None:
    """`data` and `eval` see nothing inside of bytelm, and nothing of each other."""
    other = {"data": "eval", "eval": "data"}[room]
    for path in sources(room):
        for module, name in imports(path):
            assert room_of(module) != other, path
            if room_of(module) == "bytelm":
                assert module in faces, f"{path} reaches inside: {module}"
                face = bytelm if module == "bytelm" else bytelm.toolkit
                assert name in face.__all__, f"{path}: {name} is not public"


def test_training_and_decoding_do_not_know_each_other() -> None:
    for one, other in (("training", "decode"), ("decode", "training")):
        for path in sources(f"bytelm/{one}"):
            assert not [m for m, _ in imports(path) if m.startswith(f"bytelm.{other}")], path


def test_the_model_does_not_know_how_it_is_used() -> None:
    above = ("bytelm.training", "bytelm.decode", "bytelm.checkpoint", "bytelm.scoring")
    for path in sources("bytelm/model"):
        assert not [module for module, _ in imports(path) if module.startswith(above)], path


@pytest.mark.medium
def test_nothing_loads_what_can_run_code() -> None:
    for room in ROOMS:
        for path in sources(room):
            assert not {room_of(module) for module, _ in imports(path)} & {"pickle", "dill"}, path
            assert "torch.load(" not in path.read_text(), path


MOST_LINES, MOST_FUNCTION_LINES, MOST_FILES = 400, 60, 14


@pytest.mark.medium
@pytest.mark.parametrize("room", [*ROOMS, "tests", "scripts"])
def test_files_classes_and_functions_keep_one_subject(room: str) -> None:
    for path in sources(room):
        text = path.read_text()
        assert len(text.splitlines()) <= MOST_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and room != "tests":
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= MOST_FUNCTION_LINES, f"{path}: {node.name} has {length} lines"


def test_cpp_files_and_functions_keep_one_subject() -> None:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_cpp.language()))
    paths = [path for ending in ("h", "cpp") for path in (ROOT / "bytelm").rglob(f"*.{ending}")]
    functions = 0
    for path in paths:
        code = path.read_bytes()
        assert len(code.splitlines()) <= MOST_LINES, path
        nodes = [parser.parse(code).root_node]
        while nodes:
            node = nodes.pop()
            nodes += node.children
            if node.type == "function_definition":
                functions += 1
                first, last = node.start_point[0] + 1, node.end_point[0] + 1
                assert last - first < MOST_FUNCTION_LINES, f"{path}:{first}: too long a function"
    # Macros confuse the parser here and there: it must have found the functions all the same.
    assert functions > 10 * len(paths) / 2


def test_rooms_have_about_a_dozen_files() -> None:
    for room in (*ROOMS, "tests"):
        for folder in {path.parent for path in sources(room)}:
            files = [path for path in folder.iterdir() if path.is_file()]
            assert len(files) <= MOST_FILES, folder


@pytest.mark.parametrize("face", [bytelm, bytelm.toolkit], ids=["bytelm", "bytelm.toolkit"])
def test_every_name_of_a_face_is_there(face: ModuleType) -> None:
    for name in face.__all__:
        assert hasattr(face, name), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = face.nothing


@pytest.mark.medium
@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import bytelm.__main__, bytelm.shards", "torch"),
        ("import eval.__main__; eval.__main__.COMMANDS['grade']", "torch"),
        # The compiler takes longer to import than the rest of torch.
        ("import bytelm, pathlib; bytelm.load_checkpoint(pathlib.Path('weights/plain-5m'))",
         "torch._dynamo"),
    ],
    ids=["bytelm", "eval grade", "a checkpoint"],
)  # fmt: skip
def test_importing_is_cheap(code: str, heavy: str) -> None:
    """The command line too: wrong options are told, and Ctrl-C is heard, at once."""
    code = f"import sys; {code}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
