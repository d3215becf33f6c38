"""Writes every picture into docs/images: python -m tools.pictures."""

from tools.pictures import FOLDER, PICTURES, drawn

for name in PICTURES:
    path = FOLDER / f"{name}.svg"
    content = drawn(name)
    path.write_bytes(content)
    print(f"docs/images/{path.name}: {len(content):,} bytes")
