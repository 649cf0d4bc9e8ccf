"""Licences of packages and files: allowed, others, and unknown."""

import email

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.steps.licences import UNKNOWN, Kind, Licence, of_file, of_package, of_text
from data.steps.spdx import PERMISSIVE, is_permissive

OSI = "Classifier: License :: OSI Approved"
BSD = """Copyright (c) 2020, somebody

Redistribution and use in source and binary
forms, with or without modification, are permitted.
"""
GPL = "          GNU GENERAL PUBLIC LICENSE\n             Version 3, 29 June 2007\n"


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("mit", True),
        ("Apache-2.0 AND BSD-3-Clause", True),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND (GPL-2.0-only OR BSD-2-Clause)", True),
        ("(MIT OR LGPL-2.1+) AND (MPL-2.0)", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0 WITH LLVM-exception AND GPL-2.0", False),
        ("GPL-2.0 OR MIT AND MPL-2.0", False),
        ("LicenseRef-Mine", False),
        ("Proprietary", False),
        ("", None),
        ("MIT OR", None),
        ("MIT License", None),
        ("(MIT", None),
        ("MIT)", None),
        ("AND MIT", None),
        ("MIT WITH", None),
        ("BSD, 3 clauses", None),
        ("(" * 5000 + "MIT" + ")" * 5000, None),
    ],
)
def test_expressions(expression: str, verdict: bool | None) -> None:
    assert is_permissive(expression) is verdict


@given(
    st.lists(st.sampled_from(["MIT", "GPL-3.0", "AND", "OR", "WITH", "(", ")", "x"]), max_size=9)
)
def test_any_expression_has_an_answer(words: list[str]) -> None:
    assert is_permissive(" ".join(words)) in (True, False, None)


def test_no_copyleft_is_on_the_list() -> None:
    assert all(is_permissive(name) for name in PERMISSIVE)
    assert not [name for name in PERMISSIVE if "GPL" in name or "MPL" in name]


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ("License-Expression: MIT", "permissive"),
        ("License-Expression: LGPL-2.1-only", "other"),
        ("License: MIT License", "permissive"),
        ("License: BSD\n  not GPL", "permissive"),
        ("License: GNU General Public License v3", "other"),
        ("License: BSD-3-Clause OR GPL-2.0", "permissive"),
        ("License: Apache 2.0", "permissive"),
        ("License: UNKNOWN", "unknown"),
        ("License: see the file LICENSE", "unknown"),
        (f"{OSI} :: Apache Software License", "permissive"),
        (f"{OSI} :: ISC License (ISCL)", "permissive"),
        (f"{OSI} :: Python Software Foundation License", "permissive"),
        (f"{OSI} :: GNU Lesser General Public License v3 or later (LGPLv3+)", "other"),
        (f"License: MIT\n{OSI} :: Mozilla Public License 2.0 (MPL 2.0)", "other"),
        (f"{OSI} :: MIT License\n{OSI} :: BSD License", "permissive"),
        ("Classifier: License :: Other/Proprietary License", "other"),
        (OSI, "unknown"),
        ("Classifier: Topic :: Software Development :: GPL", "unknown"),
        ("", "unknown"),
    ],
)
def test_metadata(metadata: str, kind: Kind) -> None:
    message = email.message_from_string(f"Name: a\n{metadata}\n\nMIT\n")
    assert of_package(message).kind == kind
    # Licence files are asked only where the metadata says nothing.
    assert of_package(message, [BSD]).kind == (kind if kind != "unknown" else "permissive")
    assert of_package(message, [BSD, GPL]).kind == (kind if kind != "unknown" else "other")


def test_texts() -> None:
    assert of_text(BSD) == Licence("permissive", "BSD-3-Clause")
    assert of_text(GPL).kind == "other"
    # The first that is said: what is used is listed further down.
    assert of_text(BSD + GPL).kind == "permissive"
    assert of_text("All rights reserved.") == UNKNOWN


@pytest.mark.parametrize(
    ("header", "package", "kind"),
    [
        (b"# SPDX-License-Identifier: MIT\n", UNKNOWN, "permissive"),
        (b"# SPDX-License-Identifier: GPL-3.0-or-later\r\n", Licence("permissive"), "other"),
        (b"/* SPDX-License-Identifier: Apache-2.0 */\n", UNKNOWN, "permissive"),
        (b"<!-- SPDX-License-Identifier: BSD-2-Clause -->\n", UNKNOWN, "permissive"),
        (b"# SPDX-License-Identifier: \xff\xfe\n", Licence("permissive"), "other"),
        (b"", UNKNOWN, "unknown"),
        (b"", Licence("permissive"), "permissive"),
        (b"x = 1\n" * 1000 + b"# SPDX-License-Identifier: GPL-2.0\n", UNKNOWN, "unknown"),
    ],
)
def test_a_files_header_rules(header: bytes, package: Licence, kind: Kind) -> None:
    assert of_file(header + b"x = 1\n", package).kind == kind
