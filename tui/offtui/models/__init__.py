"""The models of this machine as people choose among them: files with what they are, whether they fit, how fast."""
