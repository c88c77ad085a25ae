"""Where songs come from: multitrack data sets, folders, the band."""
