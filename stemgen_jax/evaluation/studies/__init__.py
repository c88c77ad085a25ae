"""The evaluations that a user can run.

To add one, write a module with `run` and `table` in this folder and an entry
in `STUDIES`; `listening.py` and `sound.py` are short examples. A flag of its
own becomes a field of `evaluation.options.Options`.
"""

from stemgen_jax.evaluation.study import Study

STUDIES = {
  study.name: study
  for study in (
    Study(
      name="all",
      module="full",
      file="report",
      flags=(
        *("codec", "codec_backend", "data", "split", "balanced", "skip"),
        *("examples", "seconds", "preset", "mirdd", "vggish", "clap"),
        *("shown", "variations", "workers"),
      ),
      defaults={"examples": 400, "mirdd": True},
    ),
    Study(
      name="listening",
      flags=("data", "split", "examples"),
      defaults={"examples": 96},
    ),
    Study(
      name="sound",
      flags=("codec", "codec_backend", "data", "split", "examples", "preset"),
      defaults={"examples": 96},
    ),
    Study(
      name="loops",
      flags=("codec", "codec_backend", "seconds", "preset", "files"),
      required={"files": "my_loops/*.wav"},
      seconds=(0.2, 600.0),  # of any audio that a stem is generated for
    ),
    Study(
      name="retrieval",
      flags=("codec", "codec_backend", "seconds", "preset", "files"),
      required={"files": "my_loops/*.wav"},
      seconds=(2.0, 600.0),
    ),
    Study(
      name="blind",
      flags=(
        *("codec", "codec_backend", "data", "split", "balanced", "skip"),
        *("examples", "seconds", "preset", "anchors", "answers"),
      ),
      defaults={"examples": 12},
    ),
    Study(
      name="live",
      flags=(
        *("codec", "codec_backend", "data", "split", "balanced", "skip"),
        *("examples", "seconds", "preset", "bars"),
      ),
      defaults={"examples": 48},
      seconds=(6.0, 60.0),
    ),
    Study(
      name="perturbation",
      flags=("codec", "codec_backend", "data", "seconds", "songs"),
      defaults={"songs": 24},
    ),
    Study(
      name="decoding",
      flags=(
        *("codec", "codec_backend", "data", "split", "balanced", "skip"),
        *("examples", "seconds", "mirdd", "vggish", "clap"),
        *("grid", "only", "steps", "reference", "seeds"),
      ),
      defaults={"examples": 48, "mirdd": False},
      required={"grid": "configs/decoding.py"},
    ),
  )
}
