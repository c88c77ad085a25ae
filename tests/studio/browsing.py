"""Pages of the studio in Chromium, as fixtures."""

import contextlib

import chromium
import pytest


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
  with chromium.running(tmp_path_factory.mktemp("profile")) as browser:
    yield browser


@pytest.fixture
def page(browser, client):
  """The page of the studio, which must not report an error in its console."""
  with tab(browser, client) as page:
    yield page
  assert page.errors == []


@contextlib.contextmanager
def tab(browser, client):
  """Open the studio in another tab, where its first screen is shown."""
  page = browser.open(f"{client.url}/")
  try:
    page.wait("document.querySelector('#start h1')")
    yield page
  finally:
    page.close()
