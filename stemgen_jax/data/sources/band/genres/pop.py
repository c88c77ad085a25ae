"""Pop: clear backbeat, four chords, a tune on top."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick  x... .... x... ....
    snare .... x... .... x...
    hat   x.x. x.x. x.x. x.x.
    """,
    """
    kick  x... ..x. x... ....
    snare .... x... .... x...
    hat   x.o. x.o. x.o. x.o.
    """,
    """
    kick  x... x... x... x...
    clap  .... x... .... x...
    open  ..o. ..o. ..o. ..o.
    """,
    """
    kick  x..x ..x. ..x. ....
    snare .... x..g .... x..g
    ride  x.x. x.x. x.x. x.x.
    """,
    """
    kick  x... ...x x... ....
    rim   .... x... .... x...
    hat   xoxo xoxo xoxo xoxo
    """,
  ),
  fills=(
    "snare x.x. xxxx",
    "high x.x.\nmid ....x.x.\nlow ........x.x.\nfloor ............x.x.",
    "snare ..xx\nkick x...",
  ),
  bass=(
    "R-R- R-R- R-R- R-R-",
    "R--- ..R- R--- ..5-",
    "R--R --R- R--R --a-",
    "R--- ---- R--- 5-a-",
    "kick",
  ),
  comp=(
    "x--- x--- x--- x---",
    "x--- --x- --x- --x-",
    "x-s- x-s- x-s- x-s-",
    "b-u- b-u- b-u- b-u-",
    "1-3- 2-3- 4-3- 2-3-",
    "x--- ---- x--- --s-",
  ),
  pad=("s--- ---- ---- ----", "s--- ---- s--- ----"),
  lead=(
    "x-x- o-x- x--- ---- | x-o- x-o- x--- ....",
    "..x- x-o- x-x- o--- | x--- ---- .... ..o-",
    "x--- o-x- ---- x-o- | x--- --x- ---- ....",
  ),
  arp=("1-2- 3-4- 5-4- 3-2-", "..4- ..5- ..4- ..3-"),
  percussion=("..h. ..h. ..h. .hm.", "H... m... H... m.l."),
)

_THREE = Groove(
  drums=(
    """
    kick  x... .... ....
    snare .... x... x...
    hat   x.o. x.o. x.o.
    """,
    """
    kick  x... ..x. ....
    snare .... .... x...
    ride  x... x.x. x...
    """,
  ),
  fills=("snare x.x. xxxx",),
  bass=("R--- ---- 5---", "R--- R--- R-a-"),
  comp=("b--- u--- u---", "x--- s--- s-s-", "1-2- 3-2- 4-3-"),
  pad=("s--- ---- ----",),
  lead=("x--- o-x- x--- | x--- ---- ..o-", "x-o- x--- x---"),
  arp=("1-2- 3-4- 3-2-",),
  percussion=("H... h... h.m.",),
)

_SIX = Groove(
  drums=(
    """
    kick  x..... ....x.
    snare ...... x.....
    hat   x.x.x. x.x.x.
    """,
    """
    kick  x...x. ......
    snare ...... x....g
    ride  x.x.x. x.x.x.
    """,
  ),
  fills=("snare x.x.x.\nkick x.....", "high x.x.x.\nlow ......x.x.x."),
  bass=("R----- R---5-", "R---R- R---a-"),
  comp=("x----- x-----", "1-2-3- 4-3-2-", "x-s-s- x-s-s-"),
  pad=("s----- ------",),
  lead=("x---o- x----- | x----- ....o-", "x-x-o- x---x-"),
  arp=("1-3-2- 4-3-2-", "..3-4- ..3-2-"),
  percussion=("H.h.h. M.h.h.",),
)

GENRE = Genre(
  name="pop",
  tempo=(80, 134),
  harmony=("pop",),
  loose=0.006,
  grooves={"4/4": _FOUR, "3/4": _THREE, "6/8": _SIX},
  instrumentation={
    # standard kit, room kit, power kit, 808 kit
    "drums": (0, 8, 16, 25),
    # fingered bass, picked bass, synth bass 1, fretless bass
    "bass": (33, 34, 38, 35),
    # grand piano, bright piano, steel guitar, clean guitar, electric piano,
    # nylon guitar
    "comp": (0, 1, 25, 27, 4, 24),
    # strings, synth strings 1, warm pad, choir aahs, polysynth, drawbar organ
    "pad": (48, 50, 89, 52, 90, 16),
    # saw lead, flute, violin, trumpet, alto sax, square lead, vibraphone, voice
    # oohs, harmonica
    "lead": (81, 73, 40, 56, 65, 80, 11, 53, 22),
    # atmosphere, harp, nylon guitar, celesta, crystal, pizzicato, marimba
    "arp": (99, 46, 24, 8, 98, 45, 12),
    # woodblock, agogo, melodic tom
    "percussion": (115, 113, 117),
  },
  presence={
    "drums": 0.95, "bass": 0.97, "comp": 0.97, "pad": 0.55, "lead": 0.75,
    "arp": 0.35, "percussion": 0.2,
  },
)  # fmt: skip
