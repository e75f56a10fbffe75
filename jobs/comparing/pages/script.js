// The page can be read without this. It adds: sorting, one class at a time (of curves and in masks), the picture through the masks, and the
// name of the class under the pointer or the arrow keys.
"use strict";
(() => {
  const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);
  const status = document.body.appendChild(make("p", { className: "hidden-text", role: "status" }));

  for (const table of document.querySelectorAll("[data-sortable]")) sortable(table);
  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (column === 0 || ![...body.rows].some((row) => row.cells[column].dataset.value)) return;
      const button = make("button", { type: "button", textContent: head.textContent });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") !== "descending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const value = (row) => parseFloat(row.cells[column].dataset.value ?? "NaN");
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
          return falling ? y - x : x - y;
        });
        body.append(...rows);
        status.textContent = `Sorted by ${button.textContent}, ${falling ? "highest" : "lowest"} first`;
      });
    });
  }

  for (const group of document.querySelectorAll("[data-chooser]")) chooser(group);
  function chooser(group) {
    const choices = [...group.querySelectorAll("[data-choice]")];
    const select = make("select");
    select.append(...choices.map((each) => make("option", { textContent: each.dataset.choice })));
    const show = () => choices.forEach((each, number) => { each.hidden = number !== select.selectedIndex; });
    select.addEventListener("change", show);
    const label = make("label", { className: "chooser", textContent: group.dataset.chooser });
    label.append(select);
    group.prepend(label);
    show();
  }

  const legend = document.querySelector("[data-legend]");
  if (legend) pictures(legend);
  function pictures(legend) {
    const items = [...legend.querySelectorAll("[data-colour]")];
    const names = new Map(items.map((item) => [item.dataset.colour, item.textContent.trim()]));
    const masks = [...document.querySelectorAll("[data-mask]")].map((svg) => ({ svg, image: svg.querySelector("image.mask") }));
    const hex = (data, at) => "#" + [0, 1, 2].map((part) => data[at + part].toString(16).padStart(2, "0")).join("");
    const pixels = new WeakMap();

    async function read(mask) {
      if (!pixels.has(mask)) {
        const picture = make("img", { src: mask.image.getAttribute("href") });
        await picture.decode();
        const canvas = make("canvas", { width: picture.naturalWidth, height: picture.naturalHeight });
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(picture, 0, 0);
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        pixels.set(mask, { data, canvas, context, width: canvas.width, height: canvas.height, address: picture.src });
      }
      return pixels.get(mask);
    }

    async function alone(colour) {
      for (const mask of masks) {
        const { data, canvas, context, width, height, address } = await read(mask);
        if (colour) {
          const kept = context.createImageData(width, height);
          kept.data.set(data);
          for (let at = 0; at < data.length; at += 4) if (hex(data, at) !== colour) kept.data[at + 3] = 0;
          context.putImageData(kept, 0, 0);
        }
        mask.image.setAttribute("href", colour ? canvas.toDataURL() : address);
      }
    }

    const buttons = items.map((item) => {
      const button = make("button", { type: "button" });
      button.append(...item.childNodes);
      button.setAttribute("aria-pressed", "false");
      item.append(button);
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        for (const other of buttons) other.setAttribute("aria-pressed", "false");
        button.setAttribute("aria-pressed", String(on));
        alone(on ? item.dataset.colour : "");
      });
      return button;
    });
    const slider = make("input", { type: "range", min: 0, max: 100, step: 5, value: 85 });
    slider.addEventListener("input", () => document.body.style.setProperty("--mask-opacity", slider.value / 100));
    const label = make("label", { textContent: "Opacity of the masks" });
    label.append(slider);
    const tools = make("div", { className: "tools" });
    tools.append("A class shows it alone; pointing at a mask, or the arrow keys in it, tells the class.", label);
    legend.append(tools);

    const told = document.body.appendChild(make("div", { className: "told", hidden: true }));
    told.setAttribute("aria-hidden", "true");
    for (const mask of masks) probe(mask);
    function probe(mask) {
      const tile = mask.svg.parentElement;
      const button = make("button", { type: "button", className: "probe" });
      button.setAttribute("aria-label", `Classes in ${tile.querySelector("figcaption").textContent}: arrow keys`);
      const cross = make("span", { className: "cross", hidden: true });
      tile.append(button, cross);
      const fit = () => (button.style.height = `${mask.svg.clientHeight}px`);
      new ResizeObserver(fit).observe(mask.svg);
      let [x, y] = [0.5, 0.5];
      async function tell(aloud) {
        const { data, width, height } = await read(mask);
        const at = 4 * (Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width)));
        const box = mask.svg.getBoundingClientRect();
        told.textContent = names.get(hex(data, at)) ?? "not labelled";
        told.hidden = false;
        const left = Math.min(box.left + x * box.width + 14, innerWidth - told.offsetWidth - 4);
        Object.assign(told.style, { left: `${left}px`, top: `${box.top + y * box.height + 14}px` });
        Object.assign(cross.style, { left: `${x * 100}%`, top: `${y * box.height}px` });
        if (aloud) { cross.hidden = false; status.textContent = told.textContent; }
      }
      const leave = () => { told.hidden = cross.hidden = true; };
      button.addEventListener("pointermove", (event) => {
        const box = mask.svg.getBoundingClientRect();
        [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((place) => Math.min(1, Math.max(0, place)));
        cross.hidden = true;
        tell(false);
      });
      button.addEventListener("pointerleave", leave);
      button.addEventListener("blur", leave);
      button.addEventListener("focus", () => { if (button.matches(":focus-visible")) tell(true); });
      button.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (event.key === "Escape") leave();
        if (!step) return;
        event.preventDefault();
        [x, y] = [x + step[0] * 0.03, y + step[1] * 0.05].map((place) => Math.min(0.999, Math.max(0, place)));
        tell(true);
      });
    }
  }

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.dataset.was = each.open; each.open = true; }));
  addEventListener("afterprint", () => document.querySelectorAll("details").forEach((each) => { each.open = each.dataset.was === "true"; }));
})();
