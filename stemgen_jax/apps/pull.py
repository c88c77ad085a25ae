"""Download weights from the Hugging Face Hub.

  stemgen-jax pull --weights=hf:my-name/my-model

Every command that takes --weights downloads them as well. A branch or tag, main
by default, is resolved to a commit once; pull resolves it again, and prints the
name with the commit, for use on other machines.
"""

from absl import flags

from stemgen_jax import disk, paths
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required
from stemgen_jax.web import hub

FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string("weights", None, f"The weights: {hub.NAME}.")


def main(argv: list[str]) -> None:
  """Download weights; print their name with its commit, and their licences.

  Raises:
    ValueError: the flag is invalid, or a file corrupt.
    OSError: there are no such weights, or no connection.
  """
  del argv
  name = required(FLAGS, "weights", "hf:OWNER/NAME")
  hub.parse(name)
  name = hub.fetch(name, update=True)
  path = paths.weights_file(name)
  about = disk.read_json(path.with_suffix(".json"), "pull it again")
  facts = about.get("metadata", {})
  print(f"{name}\n  is in {path.parent}")
  for title, key in (("weights", "license"), ("data", "data_license")):
    print(f"  licence of the {title}: {facts.get(key) or 'not stated'}")
