"""Questions made of nothing but a product's name: `goods_words.txt` lists what each goods type commonly holds, so that the
goods head knows products that no case is about. They teach that head alone."""


def questions(path, task):
    """One question a word, for the task that reads titles."""
    made = []
    for line in path.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            goods, *names = line.split()
            for name in names:
                text = "".join(marker + (name if marker == "[TITLE]" else "") for marker in task.segments)
                made.append({"ticket_id": f"word {goods} {name}", "text": text, "goods_type": goods, "origin": "words",
                             "held_out": False})
    return made
