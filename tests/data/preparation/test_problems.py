"""The table of problems, in and out of spreadsheets."""

import csv

import pytest

from stemgen_jax.data.preparation import problems
from stemgen_jax.data.songs import Problem


@pytest.mark.parametrize(
  "cell", ["=1+1", "+a", "-a", "@a", "\t=a", "'=a", " =a"]
)
def test_cells_are_not_formulas(tmp_path, cell):
  found = [(cell, Problem("odd name", cell, cell)), ("'a'", Problem("b", "-"))]
  problems.write(tmp_path, found)
  with open(tmp_path / problems.FILE, newline="") as file:
    for row in csv.reader(file):
      assert not any(x.strip(" ").startswith(tuple("=+-@\t")) for x in row)
  assert problems.read(tmp_path) == found


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_the_table_as_excel_saves_it(tmp_path, encoding):
  found = [("Über", Problem("clipped audio", "3 %", "Baß"))]
  problems.write(tmp_path, found)
  path = tmp_path / problems.FILE
  text = path.read_text(encoding="utf-8").replace("as target", "YES")
  text = text.replace(",", ";") + ";;;;\n"
  path.write_text(text, encoding=encoding)
  assert problems.read(tmp_path) == found


def test_the_table_as_a_spreadsheet_saves_it(tmp_path):
  text = "song;stem;problem;left_out;message\r\nsong0;;x;no;y\r\n"
  (tmp_path / problems.FILE).write_text(text, encoding="utf-8-sig", newline="")
  assert problems.read(tmp_path) == [("song0", Problem("x", "y", "", False))]
  stays = [("song0", Problem("constant offset", "y", "a.wav"))]
  problems.write(tmp_path, stays)
  text = (tmp_path / problems.FILE).read_text()
  assert "constant offset,as target,y" in text
  assert problems.read(tmp_path) == stays
  # As earlier versions wrote it.
  (tmp_path / problems.FILE).write_text(text.replace("as target", "yes"))
  assert problems.read(tmp_path) == stays
  (tmp_path / problems.FILE).write_text("a,b\n")
  with pytest.raises(ValueError, match="no column left_out: delete it"):
    problems.read(tmp_path)
