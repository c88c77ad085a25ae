"""Jazz: swung eighths, walking bass, rootless comping, waltzes."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    ride  x... x.o. x... x.o.
    pedal .... x... .... x...
    kick  g... g... g... g...
    snare .... ..?. .... ...?
    """,
    """
    ride  x... x.o. x... x.o. | x... x.o. x.o. x...
    pedal .... x... .... x... | .... x... .... x...
    snare .... .... ..g. .... | ..g. .... .... ..o.
    kick  g... .... g... ..o. | .... ..o. .... ....
    """,
    """
    snare o.g. x.g. o.g. x.g.
    pedal .... x... .... x...
    kick  o... .... o... ....
    """,
  ),
  fills=(
    "snare x.g. x.x.",
    "snare x.o.\nlow ....x.o.",
    "kick ..x.\nsnare x...",
  ),
  bass=(
    "R--- w--- w--- a---",
    "R--- 3--- 5--- a---",
    "R--- w--- 5--- w-a-",
    "R--- ---- 5--- --a-",
    "R--- 8--- 7--- 5---",
  ),
  comp=(
    "x--. ..x- .... ....",
    "..x. .... ..x- ....",
    "x--- ---- ..s- ----",
    ".... ..x- .... ..x-",
    "..x- .... x--- ....",
    "x--- s--- x--- s---",
  ),
  pad=("s--- ---- ---- ----", ".... ..s- ---- ----"),
  lead=(
    "x-o- x-o- x-o- x--- | ..o- x-o- x--- ....",
    "..x- o-x- ---- x-o- | x-o- x-x- o-x- ----",
    "x--- ..o- x-o- x-x- | ---- .... ..o- x-o-",
    "x-o- o-x- o-o- x-o- | x--- .... .... ..o-",
  ),
  arp=("..4- ..3- ..5- ..4-",),
  percussion=("h... m.h. h... m.l.",),
)

_THREE = Groove(
  drums=(
    """
    ride  x... x.o. x...
    pedal .... x... ....
    kick  o... .... ..?.
    snare .... ..?. ....
    """,
    """
    ride  x... x... x.o.
    pedal .... x... x...
    snare .... ..g. ..?.
    """,
  ),
  fills=("snare x.o. x.x.",),
  bass=("R--- w--- a---", "R--- ---- 5---", "R--- 3--- 5---"),
  comp=("..x- .... ..x-", "x--. ..x- ....", "b--- u--- u---"),
  pad=("s--- ---- ----",),
  lead=("x-o- x-o- x--- | ..o- x--- ....", "x--- o-x- x-o-"),
  arp=("1-2- 3-4- 3-2-",),
  percussion=("h... m.h. l...",),
)

GENRE = Genre(
  name="jazz",
  tempo=(92, 160),
  harmony=("jazz",),
  sevenths=True,
  swing=(0.58, 0.67),
  pair=4,
  loose=0.009,
  grooves={"4/4": _FOUR, "3/4": _THREE},
  instrumentation={
    # jazz kit, brush kit, standard kit
    "drums": (32, 40, 0),
    # acoustic bass, fretless bass, fingered bass
    "bass": (32, 35, 33),
    # grand piano, jazz guitar, drawbar organ, bright piano, vibraphone,
    # electric piano
    "comp": (0, 26, 16, 1, 11, 4),
    # strings, brass section, percussive organ, choir aahs
    "pad": (48, 61, 17, 52),
    # tenor sax, alto sax, trumpet, muted trumpet, vibraphone, clarinet, flute,
    # trombone, soprano sax, grand piano, jazz guitar
    "lead": (66, 65, 56, 59, 11, 71, 73, 57, 64, 0, 26),
    # vibraphone, marimba, harp
    "arp": (11, 12, 46),
    # woodblock, agogo
    "percussion": (115, 113),
  },
  presence={
    "drums": 0.9, "bass": 0.97, "comp": 0.95, "pad": 0.3, "lead": 0.85,
    "arp": 0.1, "percussion": 0.08,
  },
)  # fmt: skip
