"""Electronic: house, synthwave and breakbeats, led by synthesizers."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick X... X... X... X...
    clap .... x... .... x...
    open ..x. ..x. ..x. ..x.
    hat  oo.o oo.o oo.o oo.o
    """,
    """
    kick  X... .... X... ....
    snare .... X... .... X...
    hat   xoxo xoxo xoxo xoxo
    """,
    """
    kick  X... .... ..X. .... | X... .... ..X. ..x.
    snare .... X..g .g.. X... | .... X..g .g.. X.g.
    hat   x.x. x.x. x.x. x.x. | x.x. x.x. x.x. xxo.
    """,
    """
    kick   X..x ..X. ..x. X...
    snare  .... x... .... x...
    shaker oxoo oxoo oxoo oxoo
    """,
  ),
  fills=("snare x.x. xxxx", "high x.x.\nlow ..xx", "clap ..xx"),
  bass=(
    "..R- ..R- ..R- ..R-",
    "R.R. R.R. R.R. R.8.",
    "R.8. R.8. R.8. R.8.",
    "R--R --R- ..R- 5-7-",
    "kick",
  ),
  comp=(
    "x..x ..x. ..x. x...",
    "..x- ..x- ..x- ..x-",
    "x--- --x- ---- x---",
    "X..X ..X. .X.. X.X.",
    "x.x. x.x. x.x. x.x.",
  ),
  pad=(
    "s--- ---- ---- ----",
    "..s- ..s- ..s- ..s-",
    "s.s. s.s. s.s. s.s.",
  ),
  lead=(
    "x--x --x- o-x- ..o. | x--- ---- ..x- o-x-",
    "x.x. x-o- x--- ..o- | x.x. x-o- x--- ----",
    "x--- --o- x-o- x--- | ---- ..x- x--- ....",
  ),
  arp=(
    "1.2. 3.4. 3.2. 1.2.",
    "1357 5313 1357 5353",
    "1.3. 2.4. 3.5. 4.2.",
    "1-4- 2-5- 3-6- 2-4-",
  ),
  percussion=("..H. ..m. ..H. .hm.", "H..h ..L. .h.m ..l."),
)

_SIX = Groove(
  drums=(
    """
    kick  X..... ......
    snare ...... X.....
    hat   x.o.o. x.o.o.
    """,
    """
    kick  X...x. ....x.
    clap  ...... x.....
    open  ....x. ....x.
    """,
  ),
  fills=("snare x.x.xx",),
  bass=("R-R-R- R-R-8-", "R----- R---5-"),
  comp=("x----- s-----", "x.x.x. x.x.x."),
  pad=("s----- ------",),
  lead=("x---o- x-----", "x-x-x- o-x---"),
  arp=("1-2-3- 4-3-2-", "123456 543212"),
  percussion=("H...m. h.L.m.",),
)

GENRE = Genre(
  name="electronic",
  tempo=(96, 160),
  harmony=("pop", "vamp", "still"),
  swing=(0.5, 0.54),
  pair=2,
  loose=0.002,
  grooves={"4/4": _FOUR, "6/8": _SIX},
  instrumentation={
    # electronic kit, 808 kit, power kit, room kit
    "drums": (24, 25, 16, 8),
    # synth bass 2, synth bass 1, fingered bass, slap bass 1
    "bass": (39, 38, 33, 36),
    # polysynth, electric piano, synth brass 1, synth brass 2, saw lead, grand
    # piano, percussive organ
    "comp": (90, 4, 62, 63, 81, 0, 17),
    # warm pad, new age pad, sweep pad, synth strings 2, synth voice, choir pad
    "pad": (89, 88, 95, 51, 54, 91),
    # saw lead, square lead, voice lead, bass lead, charang, chiff, calliope,
    # crystal
    "lead": (81, 80, 85, 87, 84, 83, 82, 98),
    # atmosphere, saw lead, square lead, crystal, harp, marimba, echoes, kalimba
    "arp": (99, 81, 80, 98, 46, 12, 102, 108),
    # synth drum, melodic tom, steel drums
    "percussion": (118, 117, 114),
  },
  presence={
    "drums": 0.95, "bass": 0.95, "comp": 0.8, "pad": 0.6, "lead": 0.65,
    "arp": 0.6, "percussion": 0.2,
  },
)  # fmt: skip
