"""Funk: sixteenths, ghost notes, everything on the one."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick  X.x. .... ..x. .x..
    snare .g.. X..g .g.g X..g
    hat   xoxo xoxo xoxo xoxo
    """,
    """
    kick  X..x ..x. .... x... | X.x. .... ..x. ....
    snare .... X..g .g.. X.g. | .g.g X... .g.. X..x
    hat   x.x. x.x. x.x. x.xo | x.x. x.x. x.x. x...
    open  .... .... .... .... | .... .... .... ..x.
    """,
    """
    kick  X... ..x. ..xx ....
    snare .... X..g .g.. X...
    hat   x.xx x.xx x.xx x.xx
    cow   x... x... x... x...
    """,
    """
    kick  X... x... X... x...
    clap  .... x... .... x...
    open  ..x. ..x. ..x. ..x.
    hat   x... x... x... x...
    conga .o.x .o.. .o.x .oo.
    """,
  ),
  fills=("snare xgxx gxgx", "snare x.xx\nlow ....x.xx", "snare X..X"),
  bass=(
    "R..8 ..R. .78. g.a.",
    "R.g. ..g8 ..7. 5.R.",
    "R... .gR. ..8. 7.5.",
    "R.R. 8..R ..R. 8.7.",
    "kick",
  ),
  comp=(
    "..x. .x.. ..x. .xx.",
    "s.xs .sx. s.xs .sxs",
    "x... ..x. .x.. x...",
    ".x.. x..x .x.. x...",
    "X..X ..X. .... ....",
  ),
  pad=("s--- ---- ---- ----", "X... ..x. .... ....", ".... .... ..X. X..."),
  lead=(
    "x.o. x..x ..o. x... | x.x. .o.x .... ....",
    "x-.x o.x. x--- .... | ..x. o.x. x--. x...",
    "..x. .xo. x.x. ...x",
  ),
  arp=("1.3. .2.4 .3.. 2.4.", "1..3 ..2. 4..3 ..2."),
  percussion=("h.mh .mh. h.mh lmh.", "H..h ..m. H.h. l.m."),
)

GENRE = Genre(
  name="funk",
  tempo=(88, 122),
  harmony=("soul",),
  sevenths=True,
  swing=(0.5, 0.57),
  pair=2,
  loose=0.005,
  grooves={"4/4": _FOUR},
  instrumentation={
    # standard kit, room kit, power kit
    "drums": (0, 8, 16),
    # slap bass 1, fingered bass, picked bass, synth bass 1, slap bass 2
    "bass": (36, 33, 34, 38, 37),
    # clavinet, clean guitar, muted guitar, electric piano, drawbar organ
    "comp": (7, 27, 28, 4, 16),
    # brass section, strings, synth brass 1, synth brass 2, rock organ, synth
    # strings 1
    "pad": (61, 48, 62, 63, 18, 50),
    # alto sax, trumpet, tenor sax, saw lead, charang, trombone, flute
    "lead": (65, 56, 66, 81, 84, 57, 73),
    # vibraphone, square lead, marimba, steel drums
    "arp": (11, 80, 12, 114),
    # woodblock, agogo, melodic tom, synth drum
    "percussion": (115, 113, 117, 118),
  },
  presence={
    "drums": 0.98, "bass": 0.98, "comp": 0.95, "pad": 0.6, "lead": 0.65,
    "arp": 0.2, "percussion": 0.3,
  },
)  # fmt: skip
