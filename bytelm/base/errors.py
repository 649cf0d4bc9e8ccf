"""The one exception that means "the user can mend this"."""


class InputError(ValueError):
    """Wrong input: the message says what was wrong, where, and what to do.

    Commands print the message as one line and exit with status 2; anything else that reaches
    the top is a bug and keeps its traceback.
    """
