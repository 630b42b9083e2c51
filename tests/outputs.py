"""Catalogue entries of what is written, for the made-up catalogues of tests."""

PATHS = {"cube": "archive.icechunk", "assessments": "assessments", "releases": "releases"}


def written() -> dict[str, dict]:
    return {
        name: {
            "title": {"zh": name, "en": name},
            "source": "made for a test",
            "licence": "CC0-1.0",
            "access": {"type": "written", "path": path},
        }
        for name, path in PATHS.items()
    }
