"use strict";
// Unpacks the chart library and the numbers that the page carries, and draws each figure when it comes into view.
(async () => {
  const packed = (id) => document.getElementById(`packed-${id}`);
  if (!packed("numbers") || !("DecompressionStream" in window)) return;
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob(packed(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const numbers = JSON.parse(await unpack("numbers"));
  const library = document.createElement("script");
  library.textContent = await unpack("library");
  document.head.append(library);
  const show = (figure) => {
    const study = numbers[figure.dataset.study], { chart, key } = figure.dataset;
    const found = key === undefined ? study[chart] : study[chart][key];
    charts.mount(figure, found, study);
  };
  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        watch.unobserve(target);
        show(target);
      }
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll("figure[data-chart]").forEach((figure) => watch.observe(figure));
  document.documentElement.dataset.charts = "ready";
})();
