"""Folk: strummed and picked strings, waltzes and jigs, few drums."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick x... .... x... ....
    tamb .... x... .... x...
    """,
    """
    kick  x... ..x. x... ....
    snare .... o.g. .... o.g.
    shaker x.o. x.o. x.o. x.o.
    """,
    """
    snare xgog xgog xgog xgog
    kick  x... x... x... x...
    """,
  ),
  fills=("snare x.xg xgxx", "tamb xxxx"),
  bass=(
    "R--- ..5- R--- ..5-",
    "R--- 5--- R--- 5---",
    "R--- ---- 5--- --a-",
    "R-R- 5--- R--- w-a-",
  ),
  comp=(
    "x--- x-s- --s- x-s-",
    "b-u- b-u- b-u- b-uu",
    "1-3- 2-4- 1-3- 2-4-",
    "x-s- x-ss x-s- x-ss",
    "1-43 2-43 1-43 2-43",
  ),
  pad=("s--- ---- ---- ----", "s--- ---- s--- ----"),
  lead=(
    "x-o- x-x- o-x- o--- | x-x- o-o- x--- ----",
    "x--- o-x- x-o- x-o- | x--- x-o- x--- ....",
    "xoxo x-o- x-x- o-o- | x-o- xoo- x--- ----",
  ),
  arp=("1-3- 5-3- 4-3- 2-3-", "1-2- 3-4- 3-2- 1-2-"),
  percussion=("H... h.h. H... h.h.", "L.l. L.ll L.l. L.ll"),
)

_THREE = Groove(
  drums=(
    """
    kick x... .... ....
    tamb .... x... x...
    """,
    """
    kick  x... .... ....
    snare .... o.g. o.g.
    shaker x.o. x.o. x.o.
    """,
  ),
  fills=("snare x.xg xxxx", "tamb xxxx"),
  bass=("R--- .... 5---", "R--- ---- ----", "R--- 5--- 5-a-"),
  comp=("b--- u--- u---", "x--- x-s- x-s-", "1-2- 3-2- 3-2-", "1-3- 4-3- 4-3-"),
  pad=("s--- ---- ----",),
  lead=(
    "x--- o-x- x-o- | x--- ---- o-o-",
    "x-o- x--- x--- | x-x- o-o- x---",
  ),
  arp=("1-2- 3-4- 3-2-", "..3- ..4- ..3-"),
  percussion=("H... h... h...",),
)

_SIX = Groove(
  drums=(
    """
    kick x..... x.....
    tamb x.o.x. x.o.x.
    """,
    """
    kick  x..... ....o.
    snare g.g.o. x.g.o.
    """,
  ),
  fills=("snare x.xgxx",),
  bass=("R----- 5-----", "R---R- 5---a-"),
  comp=("x---s- x---s-", "b-u-u- b-u-u-", "1-2-3- 4-3-2-", "x-s-s- x-s-s-"),
  pad=("s----- ------",),
  lead=(
    "x-o-x- x-o-x- | x---o- x-----",
    "x-x-o- o-x-o- | x-o-x- x---..",
  ),
  arp=("1-2-3- 2-4-3-",),
  percussion=("H...h. H...h.", "L.l.l. L.l.l."),
)

GENRE = Genre(
  name="folk",
  tempo=(78, 132),
  harmony=("folk",),
  loose=0.009,
  grooves={"4/4": _FOUR, "3/4": _THREE, "6/8": _SIX},
  instrumentation={
    # brush kit, standard kit, jazz kit
    "drums": (40, 0, 32),
    # acoustic bass, fingered bass, fretless bass
    "bass": (32, 33, 35),
    # steel guitar, nylon guitar, banjo, accordion, grand piano, shamisen
    "comp": (25, 24, 105, 21, 0, 106),
    # strings, reed organ, slow strings, harmonica, choir aahs, cello, warm pad
    "pad": (48, 20, 49, 22, 52, 42, 89),
    # violin, fiddle, flute, harmonica, piccolo, recorder, pan flute, clarinet,
    # accordion, cello, banjo
    "lead": (40, 110, 73, 22, 72, 74, 75, 71, 21, 42, 105),
    # harp, banjo, nylon guitar, koto, marimba
    "arp": (46, 105, 24, 107, 12),
    # taiko, woodblock, melodic tom
    "percussion": (116, 115, 117),
  },
  presence={
    "drums": 0.6, "bass": 0.9, "comp": 0.99, "pad": 0.5, "lead": 0.85,
    "arp": 0.4, "percussion": 0.3,
  },
)  # fmt: skip
