"use strict";
// What the pages do beside HTMX: charts that grow, a place to drop an image.
(() => {
  const place = document.querySelector("[data-curves]");
  if (place) {
    const redraws = new Map();
    let busy = false, again = false;
    const refresh = async () => {
      if (busy) { again = true; return; }
      busy = true;
      const study = await fetch(place.dataset.curves).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
      if (study) {
        for (const [name, arms] of Object.entries(study.curves)) {
          if (redraws.has(name)) { redraws.get(name).update(arms); continue; }
          const figure = document.createElement("figure");
          Object.assign(figure.dataset, { chart: "curves", key: name, label: `Curves of ${study.titles[name]}` });
          const head = document.createElement("h3");
          head.textContent = study.titles[name];
          place.append(head, figure);
          redraws.set(name, charts.mount(figure, arms, study));
        }
        place.dataset.points = String(Object.values(study.curves).flat().flatMap((arm) => arm.curves.val_loss).flat().length);
      }
      busy = false;
      if (again) { again = false; refresh(); }
    };
    refresh();
    document.body.addEventListener("htmx:sseMessage", (event) => { if (event.detail.type === "curves") refresh(); });
  }
  const drop = document.querySelector("[data-drop]");
  if (drop) {
    const input = drop.querySelector("input[type=file]");
    const stop = (event) => event.preventDefault();
    ["dragenter", "dragover", "dragleave", "drop"].forEach((kind) => drop.addEventListener(kind, stop));
    drop.addEventListener("dragover", () => drop.classList.add("over"));
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      drop.classList.remove("over");
      if (event.dataTransfer.files.length) {
        input.files = event.dataTransfer.files;
        input.form.requestSubmit();
      }
    });
    input.addEventListener("change", () => { if (input.files.length) input.form.requestSubmit(); });
  }
})();
