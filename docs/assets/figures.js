"use strict";
// Draws the figures of a page in its colours, and again when they change; plotly is loaded where there is one.
(() => {
  const figures = [...document.querySelectorAll("figure.drawn")];
  if (!figures.length) return;
  const plotly = new URL("plotly.min.js", document.currentScript.src);
  const coarse = matchMedia("(pointer: coarse)").matches; // a finger scrolls the page
  const held = figures.map((figure) => JSON.parse(figure.querySelector("script").textContent));

  const draw = () => {
    const dark = document.body.dataset.mdColorScheme === "slate";
    figures.forEach((figure, i) => {
      const exchange = dark ? Object.entries(held[i].dark) : [];
      const text = exchange.reduce((all, [from, to]) => all.replaceAll(from, to), JSON.stringify(held[i].figure));
      const { data, layout } = JSON.parse(text);
      Object.assign(layout, { autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" });
      if (coarse) layout.dragmode = false;
      const config = { responsive: true, displaylogo: false, displayModeBar: coarse ? false : "hover" };
      Plotly.react(figure.querySelector(".canvas"), data, layout, config);
    });
  };

  const script = document.createElement("script");
  script.src = plotly;
  script.onload = () => {
    draw();
    new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  };
  document.head.append(script);
})();
