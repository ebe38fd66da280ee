"""What `benches/run` can measure. Each module has `NAME`, `TITLE`, `QUICK` and `FULL` (what it is called with), and `run(world, managers, say, **scale)`."""
