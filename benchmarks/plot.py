"""The results as a picture: what a request costs, by the number of users."""

from __future__ import annotations

from pathlib import Path

from benchmarks.results import FLOOR, Results

SHOWN = (
    "get by id",
    "userName eq",
    "create",
    "PATCH active",
    "page, first",
    "complex filter",
    "member ±1 of 1000",
    "GET user in 50",
)


def draw(results: Results, path: Path) -> bool:
    """Draw the picture; ``False`` if matplotlib, of the extra ``bench``, is not installed."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return False
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "scim-gateway", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 4, figsize=(11, 5.2), sharex=True)
    sizes = results.sizes()
    servers = sorted(
        {server for users in sizes for server in results.servers(users)}, key=lambda name: (name != FLOOR, name)
    )
    for workload, axis in zip(SHOWN, axes.flat, strict=True):
        for number, server in enumerate(servers):
            found = [(users, results.measured(users, workload, server)) for users in sizes]
            points = [(users, 1000 / cell.median("rate")) for users, cell in found if cell]
            if points:
                style = "--" if server == FLOOR else "-"
                axis.plot(*zip(*points, strict=True), style, marker="o", markersize=3, color=f"C{number}", label=server)
        axis.set_title(workload, fontsize=9)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.minorticks_off()
        axis.grid(visible=True, alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("ms a request")
    for axis in axes[1]:
        axis.set_xlabel("users")
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=len(handles), frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return True
