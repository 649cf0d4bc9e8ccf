"""The licence of a package, by its metadata and licence files, and of a file, by its SPDX header.

There are three kinds: `permissive`, `other` (copyleft, restricted, proprietary), and `unknown`.
"""

import email.message
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from data.steps.spdx import is_permissive

Kind = Literal["permissive", "other", "unknown"]


@dataclass(frozen=True)
class Licence:
    """What was found: its kind, and the words that say so."""

    kind: Kind
    said: str = ""


UNKNOWN = Licence("unknown")

_OTHER = re.compile(
    r"GPL|General Public|MPL|Mozilla|BUSL|Business Source|SSPL|Server Side Public|EUPL|"
    r"European Union Public|Eclipse Public|EPL|CDDL|CeCILL|Creative Commons|CC[- ]BY|Commercial|"
    r"Proprietary|Commons Clause|Elastic|LicenseRef",
    re.IGNORECASE,
)
# What a short description or a classifier may say, in this order.
_NAMES = {
    r"apache|\bASL\b": "Apache-2.0",
    r"\bMIT\b|expat": "MIT",
    r"\bBSD\b|new bsd|3-clause": "BSD-3-Clause",
    r"\bISC\b|ISCL": "ISC",
    r"\bPSF|python software foundation|python license": "PSF-2.0",
    r"zope public|\bZPL\b": "ZPL-2.1",
    r"\bzlib": "Zlib",
    r"unlicense": "Unlicense",
    r"\bCC0\b": "CC0-1.0",
    r"\bHPND\b|historical permission": "HPND",
    r"\bboost software": "BSL-1.0",
    r"\bWTFPL\b": "WTFPL",
    r"\bUPL\b|universal permissive": "UPL-1.0",
    r"university of illinois": "NCSA",
}
# Sentences of licence texts, their white space as one space. Those of copyleft come first.
_SENTENCES = {
    "gnu affero general public license": "AGPL",
    "gnu lesser general public license": "LGPL",
    "gnu library general public license": "LGPL",
    "gnu general public license": "GPL",
    "mozilla public license": "MPL",
    "eclipse public license": "EPL",
    "business source license": "BUSL",
    "apache license version 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "permission is hereby granted, free of charge, to any person": "MIT",
    "redistribution and use in source and binary forms": "BSD-3-Clause",
    "permission to use, copy, modify, and/or distribute this software": "ISC",
    "permission to use, copy, modify, and distribute this software": "ISC",
    "python software foundation license": "PSF-2.0",
    "zope public license": "ZPL-2.1",
    "this is free and unencumbered software": "Unlicense",
    "boost software license": "BSL-1.0",
}
_HEADER = re.compile(rb"SPDX-License-Identifier:[ \t]*([^\r\n*\"']{1,200})")
_HEADER_BYTES = 4096
# A text is known by its beginning: at the end some list the licences of what they use.
_TEXT_CHARACTERS = 3000


def of_words(words: str) -> Licence:
    """The licence that a short description names: an SPDX expression, or words."""
    words = " ".join(words.split())[:200]
    allowed = is_permissive(words)
    if allowed:
        return Licence("permissive", words)
    if _OTHER.search(words):
        return Licence("other", words)
    for pattern, name in _NAMES.items():
        if re.search(pattern, words, re.IGNORECASE):
            return Licence("permissive", name)
    return UNKNOWN


def of_text(text: str) -> Licence:
    """The licence that a licence file holds."""
    plain = " ".join(text[:_TEXT_CHARACTERS].split()).lower()
    # The first that is said counts: a text may mention others further down.
    places = {
        plain.find(said): name for said, name in reversed(_SENTENCES.items()) if said in plain
    }
    if not places:
        return UNKNOWN
    name = places[min(places)]
    return Licence("permissive" if is_permissive(name) else "other", name)


def of_package(metadata: email.message.Message, texts: Iterable[str] = ()) -> Licence:
    """The licence of a package: what any field of its metadata says, or else its licence files.

    Where two say different things, the stricter counts.
    """
    expression = str(metadata.get("License-Expression") or "")
    if expression:
        allowed = is_permissive(expression)
        return Licence("permissive" if allowed else "other", expression)
    field = str(metadata.get("License") or "").strip()
    # A whole text in the field is known by its sentences, a name by its first line.
    found = [of_text(field) if field.count("\n") > 4 else of_words(field.split("\n")[0])]
    for classifier in metadata.get_all("Classifier") or []:
        kind, _, name = str(classifier).partition(" :: ")
        if kind == "License":
            found.append(of_words(name.removeprefix("OSI Approved").strip(" :")))
    return strictest(found) or strictest(map(of_text, texts)) or UNKNOWN


def strictest(found: Iterable[Licence]) -> Licence | None:
    """The licence that rules where all of these are said; None if nothing is known."""
    known = [licence for licence in found if licence.kind != "unknown"]
    return min(known, key=lambda licence: licence.kind == "permissive", default=None)


def of_file(content: bytes, package: Licence = UNKNOWN) -> Licence:
    """A file's licence: that of its SPDX header, or else that of its package."""
    found = _HEADER.search(content[:_HEADER_BYTES])
    if found is None:
        return package
    expression = found[1].decode("utf-8", "replace").strip(" \t#-/<>")
    return Licence("permissive" if is_permissive(expression) else "other", expression)
