"""Lofi: slow, dusty, behind the beat, with sevenths."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick  x... .... ..x. ....
    snare .... x... .... x..g
    hat   x.o. x.o. x.o. x.o?
    """,
    """
    kick  x..x .... ..xx ....
    rim   .... x... .... x...
    hat   o.x. o.x. o.x. o.xo
    """,
    """
    kick  x... ..x. .x.. ..?. | x... .... ..x. x...
    snare .... x..g .... x... | .... x... .g.. x.g.
    hat   xoxo x.xo xoxo x.o. | xoxo x.xo x.xo x.xx
    """,
    """
    kick   x... .... x.x. ....
    snare  .... o... .... o...
    shaker o.o. o.o. o.o. o.oo
    """,
  ),
  fills=(
    "snare ..gx g.xx",
    """
    snare x..g
    kick  ..x.
    """,
    "hat ..oo",
  ),
  bass=(
    "R--- ---- ..R- 5---",
    "R--. ..g. ..R- --a-",
    "R--- ..8- ..5- R---",
    "kick",
  ),
  comp=(
    "x--- ---- ..s- ----",
    "s--- --x- ---- s---",
    "b-u- --u- b-u- --u-",
    "1-2- 3-4- 3-2- 3---",
    ".... x--- .... x--.",
  ),
  pad=("s--- ---- ---- ----", "s--- ---- s--- ----"),
  lead=(
    "x--. o-x- --.. .... | x-o- x--- ---- ....",
    "..x- o-x- x--- ...x | x--- --o- x--- ----",
    ".... x-o- x-x- ---- | .... ..o- x--- ....",
  ),
  arp=("..3- ..5- ..4- ..6-", "6-5- 4-3- 5-4- 3-2-"),
  percussion=("..h. .h.m ..h. .h.l", ".... M... .... L.h."),
)

_THREE = Groove(
  drums=(
    """
    kick  x... .... ..x.
    snare .... x... x...
    hat   x.o. x.o. x.oo
    """,
    """
    kick x... .... .... | x... ..x. ....
    rim  .... .... x... | .... .... x..g
    hat  o.o. o.o. o.o. | o.o. o.o. o.oo
    """,
  ),
  fills=("snare g.xg",),
  bass=("R--- ---- 5---", "R--- .... R-a-"),
  comp=(".... x--- x---", "x--- ---- --s-", "b-u- u-b- u-u-"),
  pad=("s--- ---- ----",),
  lead=("x--- o-x- x--- | x--- ---- ....", "..x- x-o- x---"),
  arp=("1-3- 4-3- 4-3-",),
  percussion=("..h. h.m. h.l.",),
)

GENRE = Genre(
  name="lofi",
  tempo=(70, 92),
  harmony=("soul", "jazz"),
  sevenths=True,
  swing=(0.52, 0.64),
  pair=2,
  loose=0.011,
  grooves={"4/4": _FOUR, "3/4": _THREE},
  instrumentation={
    # 808 kit, standard kit, brush kit, jazz kit
    "drums": (25, 0, 40, 32),
    # fingered bass, acoustic bass, synth bass 2, fretless bass
    "bass": (33, 32, 39, 35),
    # electric piano, FM piano, grand piano, jazz guitar, nylon guitar
    "comp": (4, 5, 0, 26, 24),
    # warm pad, strings, synth strings 1, choir aahs, new age pad
    "pad": (89, 48, 50, 52, 88),
    # vibraphone, flute, alto sax, jazz guitar, saw lead, pan flute, celesta
    "lead": (11, 73, 65, 26, 81, 75, 8),
    # vibraphone, harp, music box, crystal, kalimba
    "arp": (11, 46, 10, 98, 108),
    # woodblock, melodic tom, agogo
    "percussion": (115, 117, 113),
  },
  presence={
    "drums": 0.95, "bass": 0.95, "comp": 0.97, "pad": 0.45, "lead": 0.7,
    "arp": 0.35, "percussion": 0.15,
  },
)  # fmt: skip
