"""How a test reaches the function around a finding, and how such a test is written. Shared by `pipeline.exploits`."""
