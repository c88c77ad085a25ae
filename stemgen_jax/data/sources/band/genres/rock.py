"""Rock: guitars in fifths, eighth notes, toms."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick  X... ..x. X... ....
    snare .... X... .... X...
    hat   X.x. X.x. X.x. X.x.
    """,
    """
    kick  X... .... X.X. ....
    snare .... X... .... X...
    ride  X.x. X.x. X.x. X.x.
    """,
    """
    kick  X..X ..X. ..X. ..x.
    snare .... X... .... X..x
    open  X... X... X... X...
    """,
    """
    kick  X... X... X... X...
    floor x.x. x.x. x.x. x.x.
    snare .... X... .... X...
    """,
  ),
  fills=(
    "snare X.x. XxXx",
    "high XxXx\nmid ....XxXx\nlow ........XxXx\nfloor ............XxXX",
    "snare XxXx\nfloor ....XxXx",
    "kick X.X.\nsnare .X.X",
  ),
  bass=(
    "R-R- R-R- R-R- R-R-",
    "R-R- R-R- R-R- 5-a-",
    "R--- R-R- R--- 7-8-",
    "R.R. R.5. R.R. 8.a.",
    "kick",
  ),
  comp=(
    "x-x- x-x- x-x- x-x-",
    "X--- ---- X--- ..x-",
    "X--X --X- --X- X-X-",
    "x.x. X.x. x.x. X.x.",
    "X--- --x- X--- x-x-",
  ),
  pad=("s--- ---- ---- ----", "x--- ---- x--- ----"),
  lead=(
    "x-o- x-o- x--- ---- | x-x- o-x- ---- ....",
    "..x- x-o- x--- o-x- | x--- ---- .... ....",
    "x--- --o- x-x- o-x- | x-o- x--- ---- ..x-",
  ),
  arp=("1-3- 4-3- 5-3- 4-3-",),
  percussion=("H... H... H... H...", "H.h. h.h. H.h. h.h."),
)

_SIX = Groove(
  drums=(
    """
    kick  X..... ....x.
    snare ...... X.....
    hat   X.x.x. X.x.x.
    """,
    """
    kick  X...X. ....X.
    snare ...... X.....
    ride  X.x.x. X.x.x.
    """,
  ),
  fills=("snare X.XxXx", "high XxXxXx\nfloor ......XxXxXx"),
  bass=("R-R-R- R-R-5-", "R----- R---a-"),
  comp=("X----- x-----", "X-x-x- X-x-x-", "1-2-3- 4-3-2-"),
  pad=("s----- ------",),
  lead=("x---o- x----- | x-x-o- x-----", "x-o-x- x---o-"),
  arp=("1-2-3- 4-3-2-",),
  percussion=("H..... H.....",),
)

GENRE = Genre(
  name="rock",
  tempo=(92, 160),
  harmony=("rock",),
  swing=(0.5, 0.5),
  loose=0.007,
  grooves={"4/4": _FOUR, "6/8": _SIX},
  instrumentation={
    # power kit, standard kit, room kit
    "drums": (16, 0, 8),
    # picked bass, fingered bass, slap bass 1
    "bass": (34, 33, 36),
    # overdriven guitar, distorted guitar, clean guitar, steel guitar, grand
    # piano
    "comp": (29, 30, 27, 25, 0),
    # rock organ, drawbar organ, strings, percussive organ, synth strings 1
    "pad": (18, 16, 48, 17, 50),
    # distorted guitar, overdriven guitar, saw lead, trumpet, alto sax, bass
    # lead, harmonica
    "lead": (30, 29, 81, 56, 65, 87, 22),
    # clean guitar, grand piano, square lead, banjo
    "arp": (27, 0, 80, 105),
    # agogo, woodblock
    "percussion": (113, 115),
  },
  presence={
    "drums": 0.98, "bass": 0.97, "comp": 0.97, "pad": 0.5, "lead": 0.7,
    "arp": 0.25, "percussion": 0.15,
  },
)  # fmt: skip
