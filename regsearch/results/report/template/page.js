"use strict";
// Figures are drawn when they come near the screen, in the colours of the page, and all of them before it is printed.
// The first is drawn at once: with the best trials alone where there are many, and with all once those are seen.
(() => {
  const PAPER_WIDTH = 680; // CSS pixels between the margins of A4
  const AT_ONCE = 150; // marks of a trace, which come best first; three of them fill whole letters of base64
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)");
  const plots = [...document.querySelectorAll("figure.plot")];
  const exchange = Object.entries(JSON.parse(document.getElementById("dark").textContent));
  const texts = new Map();
  const seen = new Set();

  const unpack = async (element) => {
    const letters = atob(element.textContent);
    const bytes = new Uint8Array(letters.length);
    for (let at = 0; at < letters.length; at += 1) bytes[at] = letters.charCodeAt(at);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  const content = (plot, night) => {
    const text = texts.get(plot);
    return JSON.parse(night ? exchange.reduce((all, [from, to]) => all.replaceAll(from, to), text) : text);
  };

  // On a phone a legend has a line for each entry, and long names of axes take two.
  const fit = (layout, data) => {
    const entries = data.filter((trace) => trace.name && trace.showlegend !== false).length;
    if (entries > 3 && layout.showlegend !== false) layout.height += 19 * (entries - 3);
    for (const axis of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      const title = layout[axis].title;
      if (title?.text?.length > 24 && !title.text.includes("<br>")) title.text = title.text.replace(" ", "<br>");
    }
  };

  const many = (trace) => trace.mode === "markers" && trace.x?.bdata?.length > AT_ONCE * 11;

  // Of an array in plotly's JSON, whose numbers are of a type such as "f8", of eight bytes each.
  const first = (values) => values.bdata ? { ...values, bdata: values.bdata.slice(0, (AT_ONCE * Number(values.dtype[1]) * 4) / 3) } : values;

  const draw = (plot, { paper = false, begun = false } = {}) => {
    const { data, layout } = content(plot, dark.matches && !paper);
    if (begun) for (const trace of data.filter(many)) [trace.x, trace.y] = [first(trace.x), first(trace.y)];
    layout.autosize = !paper;
    if (paper) layout.width = PAPER_WIDTH;
    const canvas = plot.querySelector(".canvas");
    if (!paper && canvas.clientWidth < 480) fit(layout, data);
    canvas.style.height = `${layout.height}px`;
    if (coarse.matches) layout.dragmode = false; // a finger scrolls the page
    const config = { responsive: !paper, displaylogo: false, displayModeBar: coarse.matches ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
    return Plotly.react(canvas, data, layout, config);
  };

  const show = (plot) => {
    if (seen.has(plot)) return;
    seen.add(plot);
    draw(plot);
  };

  const showFirst = (plot) => {
    seen.add(plot);
    if (!content(plot).data.some(many)) return draw(plot);
    draw(plot, { begun: true });
    requestAnimationFrame(() => setTimeout(() => draw(plot)));
  };

  const drawOthers = () => {
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        watcher.unobserve(entry.target);
        show(entry.target);
      }
    }, { rootMargin: "400px" });
    plots.slice(1).forEach((plot) => watcher.observe(plot));
    dark.addEventListener("change", () => seen.forEach((plot) => draw(plot)));
  };

  // Whoever prints at once gets the figures that are there.
  const drawOnPaper = () => {
    const read = () => plots.filter((plot) => texts.has(plot));
    addEventListener("beforeprint", () => read().forEach((plot) => draw(plot, { paper: true })));
    addEventListener("afterprint", () => {
      read().forEach((plot) => seen.add(plot));
      read().forEach((plot) => draw(plot));
    });
  };

  const begin = async () => {
    const read = async (plot) => texts.set(plot, await unpack(plot.querySelector("script")));
    const [plotly] = await Promise.all([unpack(document.getElementById("plotly")), read(plots[0])]);
    const script = document.createElement("script");
    script.textContent = plotly;
    document.head.append(script);
    drawOnPaper();
    showFirst(plots[0]);
    await Promise.all(plots.slice(1).map(read));
    drawOthers();
  };

  // What is wider than the page says that it can be moved.
  const measure = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      const most = box.scrollWidth - box.clientWidth;
      box.classList.toggle("moves", most > 1);
      box.classList.toggle("moved", most > 1 && box.scrollLeft > most - 2);
    }
  };
  for (const box of document.querySelectorAll(".scroll")) {
    box.addEventListener("scroll", measure, { passive: true });
    new ResizeObserver(measure).observe(box.firstElementChild);
  }
  addEventListener("resize", measure);

  if (!plots.length) return;
  if ("DecompressionStream" in window) begin();
  else plots.forEach((plot) => { plot.querySelector(".canvas").textContent = "The figures need a browser of 2023 or later."; });
})();
