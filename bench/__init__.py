"""The harness: scenes, channel, runner, results, tables, plots and the command `bench`."""
