"""What others wrote, made safe for a terminal and a log: a server's sentence, a fleet's name, a file's content.

Printed raw, such words move the cursor, retype a line, turn text round, or begin a line that looks like one of ours.
"""


def printable(text: str) -> str:
    """``text`` with each character that is not seen written as Python writes it, such as ``\\x1b`` or ``\\u202e``.

    The same as the operator's command does (``fleet.text.printable``).
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
