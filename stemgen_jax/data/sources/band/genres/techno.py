"""Techno: four on the floor, one chord for long, everything repeats."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick X... X... X... X...
    open ..x. ..x. ..x. ..x.
    hat  o.o. o.o. o.o. o.oo
    clap .... x... .... x...
    """,
    """
    kick X... X... X... X...
    hat  .oxo .oxo .oxo .oxo
    rim  ..x. .x.. x..x ..x.
    """,
    """
    kick X... X... X... X.x.
    ride ..x. ..x. ..x. ..x.
    clap .... x... .... x..g
    tumba ...o ..o. ...o ..oo
    """,
    """
    kick X..X ..X. X..X ..X.
    snare .... x... .... x...
    hat  oooo oooo oooo oooo
    """,
  ),
  fills=("snare xoxo xxxx", "clap x.xx", "low x.x. x.xx"),
  bass=(
    "..R. ..R. ..R. ..R.",
    ".RR. .RR. .RR. .R8.",
    "R.RR ..R. R.RR ..8.",
    "..RR ..R8 ..RR ..7.",
    "R... ..R. .R.. R..5",
  ),
  comp=(
    "..x. .... ..x. ....",
    "...x ..x. ...x ..x.",
    ".... ..x. .... .x..",
    "x..x ..x. .... ....",
    "X... .... .... ..x.",
  ),
  pad=("s--- ---- ---- ----", "..s- ..s- ..s- ..s-"),
  lead=(
    "x.x. .x.. x.o. .x..",
    "x..x ..x. ..o. x...",
    "x... ..x. .... ..x. | x... ..o. x.x. ....",
  ),
  arp=(
    "1.2. 3.2. 1.2. 3.4.",
    "1231 2312 3123 1234",
    "1..2 ..3. 4..3 ..2.",
    "4.1. 3.1. 2.1. 3.1.",
  ),
  percussion=(
    "..H. .h.m ..H. m.l.",
    "h.hm h.hl h.hm hmlm",
    "L..l ..L. .l.. L...",
  ),
)

_SIX = Groove(
  drums=(
    """
    kick X..... X.....
    open ...x.. ...x..
    hat  o.oo.o o.oo.o
    clap ...... x.....
    """,
  ),
  fills=("snare x.xxxx",),
  bass=("..R.R. ..R.8.", "R..R.. R..R.5"),
  comp=("...x.. ...x..", "x..x.. ...x.."),
  pad=("s----- ------",),
  lead=("x..x.. o..x..", "x.x... ..x..."),
  arp=("1.2.3. 4.3.2.", "123412 341234"),
  percussion=("H.mh.l H.mhml",),
)

GENRE = Genre(
  name="techno",
  tempo=(118, 145),
  harmony=("vamp",),
  loose=0.0015,
  grooves={"4/4": _FOUR, "6/8": _SIX},
  instrumentation={
    # 808 kit, electronic kit, power kit
    "drums": (25, 24, 16),
    # synth bass 1, synth bass 2, slap bass 1
    "bass": (38, 39, 36),
    # polysynth, synth brass 1, saw lead, synth strings 1, drawbar organ, FM
    # piano
    "comp": (90, 62, 81, 50, 16, 5),
    # sweep pad, warm pad, synth strings 1, halo pad, choir aahs
    "pad": (95, 89, 50, 94, 52),
    # saw lead, square lead, bass lead, charang, crystal, marimba
    "lead": (81, 80, 87, 84, 98, 12),
    # square lead, saw lead, crystal, brightness, sci-fi, marimba
    "arp": (80, 81, 98, 100, 103, 12),
    # synth drum, melodic tom, woodblock, taiko, agogo
    "percussion": (118, 117, 115, 116, 113),
  },
  presence={
    "drums": 0.98, "bass": 0.95, "comp": 0.7, "pad": 0.5, "lead": 0.4,
    "arp": 0.7, "percussion": 0.4,
  },
)  # fmt: skip
