"""Bossa nova: straight eighths, rim clave, bass in roots and fifths."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick  o..o x..o o..o x..o
    rim   x... ..x. .... x... | .... x... ..x. ....
    hat   o.o. o.o. o.o. o.o.
    """,
    """
    kick   x..o x..o x..o x..o
    rim    x..x ..x. ..x. .x..
    shaker oxoo oxoo oxoo oxoo
    """,
    """
    kick  x... x... x... x...
    clave x... ..x. .... x... | .... x... x... ....
    hat   o.oo o.oo o.oo o.oo
    conga ..o. ..xx ..o. ..xx
    """,
  ),
  fills=("rim x.x. xx.x", "conga xxx.\ntumba ...x", "snare g.gx"),
  bass=(
    "R--- --5- 5--- --R-",
    "R--- --R- 5--- --5-",
    "R--. R-5- ---. 5-a-",
    "kick",
  ),
  comp=(
    "b.u. ..u. b..u ..u.",
    "x... ..x. ..x. ....",
    "b-u- --u- b--u --u- | b--u --u- b-u- ..u-",
    "x--- x--- --x- --x-",
  ),
  pad=("s--- ---- ---- ----", "s--- ---- --s- ----"),
  lead=(
    "x--- --o- x--- o-x- | ---- --x- x--- ....",
    "..x- o-x- --x- --o- | x--- ---- ---- ....",
    "x-o- x--- ---- x-x- | o-x- ---- .... ..o-",
  ),
  arp=("1-2- 3-4- 3-2- 3---", "..3- ..4- ..5- ..4-"),
  percussion=("H..h ..H. .h.. H...", "h.hm h.hl h.hm h.ll"),
)

GENRE = Genre(
  name="bossa_nova",
  tempo=(100, 150),
  harmony=("bossa", "jazz"),
  sevenths=True,
  loose=0.007,
  grooves={"4/4": _FOUR},
  instrumentation={
    # brush kit, jazz kit, standard kit
    "drums": (40, 32, 0),
    # acoustic bass, fretless bass, fingered bass
    "bass": (32, 35, 33),
    # nylon guitar, jazz guitar, grand piano, electric piano, steel guitar
    "comp": (24, 26, 0, 4, 25),
    # strings, choir aahs, warm pad, slow strings
    "pad": (48, 52, 89, 49),
    # flute, tenor sax, vibraphone, soprano sax, trombone, clarinet, jazz
    # guitar, accordion
    "lead": (73, 66, 11, 64, 57, 71, 26, 21),
    # harp, marimba, kalimba, celesta
    "arp": (46, 12, 108, 8),
    # woodblock, agogo, melodic tom
    "percussion": (115, 113, 117),
  },
  presence={
    "drums": 0.92, "bass": 0.97, "comp": 0.98, "pad": 0.35, "lead": 0.8,
    "arp": 0.2, "percussion": 0.35,
  },
)  # fmt: skip
