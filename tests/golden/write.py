"""`python -m tests.golden.write`: renew the generated texts. Read the difference before you commit it."""

from tests.golden.texts import ROOT, texts

if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
