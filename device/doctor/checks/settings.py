"""The settings of this run, and where each was found."""

from ...settings import load
from ...settings_files import FILES, look_alikes
from ..examination import Examination
from ..finding import Finding, ok, warning


def settings(examination: Examination) -> Finding:
    problems = look_alikes(FILES)
    found = examination.settings = load(
        examination.arguments, warn=lambda text: problems.append(text.partition(" Try: ")[0].rstrip("."))
    )
    parts = [
        f"name {found.name} ({found.sources['name']})",
        f"key {found.key} ({found.sources['key']})",
        f"state in {found.state} ({found.sources['state']})",
    ]
    if found.url is None:
        return warning(
            f"{', '.join(parts)}, and no enrollment URL: checks that need it are skipped.",
            cure="zymkey-iot bootstrap https://…, which keeps the URL; or ENROLLMENT_URL=https://… zymkey-iot doctor",
        )
    if problems:
        return warning(
            f"{', '.join(parts)}. {'; '.join(problems)}.",
            cure="correct the file: the next bootstrap refuses what is passed over now",
        )
    return ok(
        ", ".join([*parts, f"{found.url} ({found.sources['url']})"]), name=found.name, key=found.key, url=found.url
    )
