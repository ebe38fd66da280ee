"""How a cost grows as work grows, drawn into benches/plots."""

import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plots")
UNITS = {"up": "s until all are up", "stop": "s until all are gone", "memory": "KiB (PSS) of the manager and its helpers", "lines": "lines kept a second"}


def draw(name, series, across="services"):
    """`series`: for each title pairs of how much work there was and what it cost."""
    try:
        import matplotlib
    except ImportError:
        print("no plots: `pip install matplotlib` first", flush=True)
        return
    matplotlib.use("svg")
    # Equal figures give equal files.
    matplotlib.rcParams.update({"svg.hashsalt": "orchestra", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for title, points in series.items():
        ours = title == "orchestra"
        axes.plot(*zip(*points), marker="o", markersize=4, linewidth=2.5 if ours else 1, zorder=3 if ours else 2, color="#d33" if ours else None, label=title)
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=UNITS[name.rsplit("-", 1)[1]])
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize=8)
    os.makedirs(FOLDER, exist_ok=True)
    figure.savefig(os.path.join(FOLDER, f"{name}.svg"), metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)
