"""Train and judge the demo codec."""
