"""What others wrote, made safe for a terminal, a log and a table: the one place for it; all output goes through it.

A device's own name for itself, a subject, a server's sentence and a file's name are a stranger's words. Printed raw
they move the cursor, retype a line, turn text round, or begin a line that looks like one of ours.
"""


def printable(text: str) -> str:
    """``text`` with each character that is not seen written as Python writes it, such as ``\\x1b`` or ``\\u202e``.

    What is escaped is all that ``str.isprintable`` is false for: control characters, format characters (those that
    turn the direction of text are among them), line and paragraph separators, blanks other than the space, lone
    surrogates, and code points that nobody has assigned.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
