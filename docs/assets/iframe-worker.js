"use strict";
// Browsers refuse workers to pages that are opened as files. The search of this site needs one: here it runs in a
// hidden frame instead, where a message is an event of the frame's window. Like a worker it never answers at once: not
// before the page is complete and listens, and never within the call that asks.
if (location.protocol === "file:") {
  const complete = new Promise((done) => {
    if (document.readyState !== "loading") done();
    else document.addEventListener("DOMContentLoaded", done, { once: true });
  });
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.ready = new Promise((ready) => {
        frame.addEventListener("load", () => {
          const inside = frame.contentWindow;
          inside.postMessage = (data) => setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
          const script = frame.contentDocument.createElement("script");
          script.src = url;
          script.onload = () => complete.then(() => ready(inside));
          frame.contentDocument.body.append(script);
        }, { once: true });
      });
      this.frame = frame;
      document.body.append(frame);
    }

    postMessage(data) {
      this.ready.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
