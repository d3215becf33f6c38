"""Writes the generated parts of docs/reference: python -m tools.reference."""

from tools.reference import FOLDER, written

for name, text in written().items():
    path = FOLDER / name
    changed = not path.is_file() or path.read_text(encoding="utf-8") != text
    path.write_text(text, encoding="utf-8")
    print(f"docs/reference/{name}: {'written' if changed else 'as it was'}")
