"""The page of the HTTP API, in Chromium."""

import pytest

pytestmark = pytest.mark.browser


def test_the_api_is_described_without_another_server(browser, client):
  page = browser.open(f"{client.url}/docs")
  page.wait("document.querySelectorAll('.opblock').length > 20")
  page.wait("document.querySelector('#operations-jobs-add_job_jobs_post')")
  page.wait("document.querySelector('#operations-live-keep_live_keep_post')")
  live = client.get("/openapi.json")["paths"]["/live"]["get"]
  [content] = live["responses"]["101"]["content"].values()
  kinds = {one["title"] for one in content["schema"]["oneOf"]}
  assert kinds == {"LiveStart", "LiveChange", "LiveSync", "LiveStop"}
  assert "$" not in str(live)
  assert page.errors == []
  page.close()
