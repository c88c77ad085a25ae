"""Weights on the Hub; a server on this machine replaces it."""

import dataclasses
import shutil

import hub_server
import jax
import numpy as np
import pytest
import torch
from huggingface_hub import constants

from stemgen_jax import StemGen, __main__, model, paths
from stemgen_jax.codec import encodec, networks
from stemgen_jax.web import hub

REPOSITORY = "lab/tiny"


@pytest.fixture
def server(tmp_path, monkeypatch):
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path / "cache"))
  monkeypatch.setenv("NO_PROXY", "127.0.0.1")
  # Uploads of the Hub's other protocol are not those of HTTP.
  monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
  monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
  with hub_server.serving() as server:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server


@pytest.fixture(scope="module")
def export(tmp_path_factory):
  """Exported weights with a card, and a codec of their own."""
  torch.manual_seed(0)
  folder = tmp_path_factory.mktemp("export")
  shape = networks.NetworkConfig(
    sample_rate=8000, ratios=(8, 5), filters=2, latent=8, codes_per_level=16
  )
  checksum = encodec.save(
    folder / "mine.safetensors", "mine", networks.Network(shape), {}
  )
  config = model.ModelConfig(
    codes=16,
    width=16,
    depth=1,
    heads=2,
    mlp=16,
    window=100,
    frame_rate=200.0,
    codec="mine",
    codec_checksum=checksum,
  )
  params = jax.tree.map(
    lambda leaf: np.full(leaf.shape, 0.1, np.float32),
    jax.eval_shape(lambda: model.init_params(config, jax.random.key(0))),
  )
  weights = folder / "small.safetensors"
  facts = {"license": "CC BY 4.0", "data_license": "", "steps": 3}
  model.save_weights(weights, config, params, facts)
  card = '# small\n\nStemGen.load("small.safetensors")\n\n![x](small.png)\n'
  weights.with_suffix(".md").write_text(card)
  weights.with_suffix(".png").write_bytes(b"plot")
  return weights


@pytest.fixture
def files(export):
  """The same as the files of a repository."""
  found = {
    hub.MODEL: export,
    "model.json": export.with_suffix(".json"),
    hub.CODEC: export.with_name("mine.safetensors"),
    "codec.json": export.with_name("mine.json"),
  }
  return {name: path.read_bytes() for name, path in found.items()}


def test_published_weights_are_loaded(server, export, capsys):
  flags = [
    f"--weights={export}",
    f"--repository={REPOSITORY}",
    f"--codec={export.with_name('mine.safetensors')}",
  ]
  assert __main__.main(["push", *flags, "--dry_run"]) == 0
  assert "codec.safetensors, codec.json, README.md" in capsys.readouterr().out
  assert server.asked == []

  assert __main__.main(["push", *flags]) == 0
  (sha,) = server.commits[REPOSITORY]
  name = f"hf:{REPOSITORY}@{sha}"
  assert f"published {name}" in capsys.readouterr().out
  published = server.commits[REPOSITORY][sha]
  assert published[hub.MODEL] == export.read_bytes()
  card = published["README.md"].decode()
  assert card.startswith("---\nlibrary_name: stemgen-jax\nlicense: cc-by-4.0\n")
  assert f'StemGen.load("hf:{REPOSITORY}")' in card
  assert "![x](model.png)" in card
  assert published["model.png"] == b"plot"

  assert __main__.main(["pull", f"--weights=hf:{REPOSITORY}"]) == 0
  printed = capsys.readouterr().out
  assert name in printed
  assert "licence of the weights: CC BY 4.0" in printed
  assert "licence of the data: not stated" in printed
  # From here on without a connection.
  asked = len(server.asked)
  loaded = StemGen.load(f"hf:{REPOSITORY}")
  assert loaded.name == name
  assert loaded.codec.checksum == loaded.config.codec_checksum
  assert len(server.asked) == asked
  # Unknown files of a repository are not downloaded.
  server.commit(REPOSITORY, published | {"evil.pkl": b"x"})
  assert hub.fetch(f"hf:{REPOSITORY}") == name
  updated = hub.fetch(f"hf:{REPOSITORY}", update=True)
  assert updated != name
  assert hub.fetch(f"hf:{REPOSITORY}") == updated
  assert not paths.weights_file(updated).with_name("evil.pkl").exists()
  assert hub.fetch(name) == name


def test_a_download_that_broke_off_is_resumed(server, files):
  del files[hub.CODEC], files["codec.json"]
  sha = server.commit(REPOSITORY, files)
  folder = paths.weights_file(f"hf:{REPOSITORY}@{sha}").parent
  folder.mkdir(parents=True)
  partial = folder / f"{hub.MODEL}.partial"
  partial.write_bytes(files[hub.MODEL])
  pinned = hub.fetch(f"hf:{REPOSITORY}@main")
  assert paths.weights_file(pinned).read_bytes() == files[hub.MODEL]


@pytest.mark.parametrize(
  ("file", "change", "message"),
  [
    ("model.safetensors", lambda x: x[:-1] + b"?", "its publisher states"),
    ("codec.safetensors", lambda x: x[:-1] + b"?", "its publisher states"),
    ("model.json", lambda x: x.replace(b"100", b"101"), "another checksum"),
    ("model.json", lambda x: b"{}", "states no checksums"),
    ("model.json", lambda x: b"[" * (1 << 25), "larger than 16777216 bytes"),
  ],
)
def test_changed_files_are_refused(server, files, file, change, message):
  files[file] = change(files[file])
  sha = server.commit(REPOSITORY, files)
  with pytest.raises(ValueError, match=message):
    hub.fetch(f"hf:{REPOSITORY}")
  folder = paths.weights_file(f"hf:{REPOSITORY}@{sha}").parent
  assert not (folder / file).exists()
  assert not (folder / hub.MODEL).exists()


def failing(capsys, *argv):
  assert __main__.main([*argv]) == 1
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == 1, lines
  return lines[0]


def test_errors_are_one_line(server, export, files, tmp_path, capsys):
  def pull(name):
    return failing(capsys, "pull", f"--weights={name}")

  assert "hf:lab/none@main: no such repository" in pull("hf:lab/none")
  del files[hub.MODEL]
  server.commit(REPOSITORY, files)
  assert "no such revision" in pull(f"hf:{REPOSITORY}@v2")
  assert "has no model.safetensors" in pull(f"hf:{REPOSITORY}")
  for name in ("lab/tiny", "hf:tiny", "hf:../x", "hf:a/..", "hf:a/b@c d"):
    assert f"{name}: expected hf:OWNER/NAME" in pull(name)
  server.redirect = "http://example.org/api"
  assert "expected https://" in pull(f"hf:{REPOSITORY}")

  def push(weights, *flags):
    flags = (f"--weights={weights}", f"--repository={REPOSITORY}", *flags)
    return failing(capsys, "push", *flags)

  assert "--codec is missing" in push(export)
  assert "not the codec of" in push(export, f"--codec={paths.CODECS['demo']}")
  for suffix in (".safetensors", ".md"):
    shutil.copy(export.with_suffix(suffix), tmp_path / f"a{suffix}")
  loaded = model.load_weights(export)
  nameless = {**loaded.metadata, "license": ""}
  model.save_weights(
    tmp_path / "a.safetensors",
    dataclasses.replace(loaded.config),
    loaded.params,
    nameless,
  )
  assert "states no licence: export it" in push(tmp_path / "a.safetensors")


def test_a_refusal(server, export, capsys):
  server.forbids = True
  codec = export.with_name("mine.safetensors")
  line = failing(
    *(capsys, "push", f"--weights={export}", f"--codec={codec}"),
    f"--repository={REPOSITORY}",
  )
  assert f"{server.url} refuses (" in line
  assert line.endswith("log in with `hf auth login`")


def test_without_a_connection(server, monkeypatch, tmp_path, capsys):
  monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # no server
  name = f"--weights=hf:{REPOSITORY}"
  flags = ("generate", name, "--seconds=1", f"--out={tmp_path / 'a.wav'}")
  line = failing(capsys, *flags)
  assert "cannot be reached" in line
  assert "weights that were pulled before need no connection" in line
  monkeypatch.setenv("HF_ENDPOINT", "http://example.org")
  assert "HF_ENDPOINT names the Hub" in failing(capsys, "pull", name)
