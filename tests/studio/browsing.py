"""The page of the studio in a tab of Chromium."""

import contextlib


@contextlib.contextmanager
def tab(browser, client):
  """Open the studio in another tab, where its first screen is shown."""
  page = browser.open(f"{client.url}/")
  try:
    page.wait("document.querySelector('#start h1')")
    yield page
  finally:
    page.close()
