"use strict";
// Figures are drawn when they come near the screen, in the colours of the page, and all of them before it is printed.
(() => {
  const PAPER_WIDTH = 680; // CSS pixels between the margins of A4
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)");
  const plots = [...document.querySelectorAll("figure.plot")];
  const exchange = Object.entries(JSON.parse(document.getElementById("dark").textContent));
  const seen = new Set();

  const content = (plot, night) => {
    const text = plot.querySelector("script").textContent;
    return JSON.parse(night ? exchange.reduce((all, [from, to]) => all.replaceAll(from, to), text) : text);
  };

  const draw = (plot, paper = false) => {
    const { data, layout } = content(plot, dark.matches && !paper);
    layout.autosize = !paper;
    if (paper) layout.width = PAPER_WIDTH;
    if (coarse.matches) layout.dragmode = false; // a finger scrolls the page
    const config = { responsive: !paper, displaylogo: false, displayModeBar: coarse.matches ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
    return Plotly.react(plot.querySelector(".canvas"), data, layout, config);
  };

  const show = (plot) => {
    if (seen.has(plot)) return;
    seen.add(plot);
    draw(plot);
  };

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      show(entry.target);
    }
  }, { rootMargin: "400px" });

  plots.slice(0, 1).forEach(show);
  plots.slice(1).forEach((plot) => watcher.observe(plot));
  dark.addEventListener("change", () => seen.forEach((plot) => draw(plot)));
  addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, true)));
  addEventListener("afterprint", () => {
    plots.forEach((plot) => seen.add(plot));
    plots.forEach((plot) => draw(plot));
  });
})();
