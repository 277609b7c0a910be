"""Turns a Scene into English: several templates, synonyms and word orders."""

VERBS = {  # what moving forward is called
    "cat": (("walks", "walking"), ("runs", "running"), ("strolls", "strolling")),
    "robot": (("walks", "walking"), ("marches", "marching"), ("runs", "running")),
    "bird": (("flies", "flying"), ("glides", "gliding")),
    "car": (("drives", "driving"), ("rolls", "rolling")),
    "ball": (("rolls", "rolling"), ("rolls along", "rolling along")),
    "star": (("rolls", "rolling"), ("hops along", "hopping along"), ("moves", "moving")),
}
PLAIN = {
    "walks": "walk",
    "runs": "run",
    "strolls": "stroll",
    "marches": "march",
    "flies": "fly",
    "glides": "glide",
    "drives": "drive",
    "rolls": "roll",
    "rolls along": "roll along",
    "hops along": "hop along",
    "moves": "move",
}
NOUNS = {
    "cat": ("cat", "cat", "kitten", "kitty"),
    "robot": ("robot", "robot", "android"),
    "bird": ("bird", "bird", "little bird"),
    "car": ("car", "car", "automobile"),
    "ball": ("ball", "ball", "round ball"),
    "star": ("star", "star", "little star"),
}
SIZES = ("", "", "", "", "small ", "cute ", "lovely ", "bright ")
PLACES = {
    "meadow": (
        "in a meadow",
        "in a green meadow",
        "on the grass",
        "in a meadow with trees and flowers",
        "across a green field",
    ),
    "beach": (
        "on a beach",
        "at the beach",
        "on a sandy beach by the sea",
        "on the beach with palm trees",
        "at the seaside",
    ),
    "desert": (
        "in the desert",
        "in a desert",
        "in a hot desert with cacti",
        "among sand dunes",
        "in the desert under the sun",
    ),
    "mountains": (
        "in the snowy mountains",
        "in the mountains",
        "in the snow",
        "in front of snowy mountains",
        "in a winter landscape with fir trees",
    ),
    "city": (
        "in a city at night",
        "in the city at night",
        "on a city street at night",
        "in front of skyscrapers at night",
        "in a town by night",
    ),
    "space": (
        "in space",
        "in outer space",
        "on the moon",
        "on the moon under the stars",
        "on a moon in outer space",
    ),
}
SETTINGS = {  # the place as a sentence of its own
    "meadow": ("Green hills and trees pass in the background.", "The background is a meadow."),
    "beach": ("Behind it lies the blue sea.", "The background is a beach."),
    "desert": ("There are cacti and sand dunes.", "The background is a desert."),
    "mountains": ("There are snowy mountains behind.", "The background shows snowy mountains."),
    "city": ("Windows shine in the night.", "The background is a city at night."),
    "space": ("Stars shine in the black sky.", "The background is outer space."),
}
LOOKS = {
    "animated": (
        "animated style",
        "in animated style",
        "cartoon style",
        "an animated cartoon",
        "2D animation",
    ),
    "photorealistic": (
        "photorealistic style",
        "in photorealistic style",
        "realistic style",
        "a realistic photo",
        "photorealistic",
    ),
}
LOOK_SENTENCES = {
    "animated": ("The style is animated.", "It looks like a cartoon."),
    "photorealistic": ("The style is photorealistic.", "It looks like a real film."),
}


def pick(rng, options):
    return options[int(rng.integers(len(options)))]


def action(rng, motion, subjects):
    """(third person or plural verb, -ing form) of a motion."""
    many = len(subjects) > 1
    if motion in ("right", "left"):
        if many:
            finite, ing = pick(rng, (("move", "moving"), ("go", "going"), (None, None)))
            if finite is None:
                finite, ing = pick(rng, VERBS[subjects[0]])
                finite = PLAIN[finite]
        else:
            finite, ing = pick(rng, VERBS[subjects[0]] + (("moves", "moving"), ("goes", "going")))
        side = pick(
            rng,
            (
                f"to the {motion}",
                f"to the {motion}",
                f"towards the {motion}",
                f"from {'left to right' if motion == 'right' else 'right to left'}",
            ),
        )
        return f"{finite} {side}", f"{ing} {side}"
    if motion == "jump":
        extra = pick(rng, ("", "", " up and down", " again and again"))
        return pick(
            rng,
            (
                (("jump" if many else "jumps") + extra, "jumping" + extra),
                (("bounce" if many else "bounces") + extra, "bouncing" + extra),
            ),
        )
    if motion == "spin":
        extra = pick(rng, ("", "", " around", " in the air"))
        return pick(
            rng,
            (
                (("spin" if many else "spins") + extra, "spinning" + extra),
                (("rotate" if many else "rotates"), "rotating"),
                (("turn" if many else "turns") + " around", "turning around"),
            ),
        )
    return pick(
        rng,
        (
            (("stand" if many else "stands") + " still", "standing still"),
            (("wait" if many else "waits"), "waiting"),
            (("stay" if many else "stays") + " in place", "staying in place"),
        ),
    )


def article(words, rng):
    first = pick(rng, ("a", "a", "a", "one", "the"))
    return ("an" if first == "a" and words[0] in "aeiou" else first) + " " + words


def caption(scene, rng):
    subjects = [s for _, s in scene.characters]
    who = " and ".join(
        article(pick(rng, SIZES) + f"{c} {pick(rng, NOUNS[s])}", rng) for c, s in scene.characters
    )
    does, doing = action(rng, scene.motion, subjects)
    place, look = pick(rng, PLACES[scene.background]), pick(rng, LOOKS[scene.style])
    be = "are" if len(subjects) > 1 else "is"
    form = int(rng.integers(9))
    if form == 0:
        text = f"{who} {does} {place}, {look}"
    elif form == 1:
        text = f"{who} {doing} {place}, {look}."
    elif form == 2:
        text = f"{look}: {who} {does} {place}."
    elif form == 3:
        text = f"{who} {be} {doing} {place}. {pick(rng, LOOK_SENTENCES[scene.style])}"
    elif form == 4:
        text = f"{who} {does}. {pick(rng, SETTINGS[scene.background])} {look}."
    elif form == 5:
        text = f"{place}, {who} {does}. {look}."
    elif form == 6:
        text = f"a video of {who} {doing} {place}. {pick(rng, LOOK_SENTENCES[scene.style])}"
    elif form == 7:
        setting, sentence = pick(rng, SETTINGS[scene.background]), pick(
            rng, LOOK_SENTENCES[scene.style]
        )
        text = f"{who} {be} {doing} {place}. {setting} {sentence}"
    else:
        text = f"{who}, {place}, {doing}, {look}"
    if rng.random() < 0.7:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.5 and text[-1] != ".":
        text += "."
    return text


def plain_caption(scene):
    """One clear caption per scene, for checks and examples."""
    subjects = [s for _, s in scene.characters]
    many = len(subjects) > 1
    who = " and ".join(
        ("an " if c[0] in "aeiou" else "a ") + f"{c} {s}" for c, s in scene.characters
    )
    forward = PLAIN[VERBS[subjects[0]][0][0]] if many else VERBS[subjects[0]][0][0]
    does = {
        "right": f"{forward} to the right",
        "left": f"{forward} to the left",
        "jump": "jump" if many else "jumps",
        "spin": "spin" if many else "spins",
        "still": "stand still" if many else "stands still",
    }[scene.motion]
    return f"{who[0].upper()}{who[1:]} {does} {PLACES[scene.background][0]}, {scene.style} style."
