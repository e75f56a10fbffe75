// A picture with its mask. The mask comes as class ids and is coloured here, at the size of the screen: whatever is
// switched, moved or pointed at asks the server nothing, and a picture of 8192 × 4096 costs no more than a small one.
// One module with editor.js and pictures.js (`__init__.py` joins them).

const NAMES = { swipe: "Both", difference: "Difference", overlay: "Overlay", mask: "Mask", picture: "Picture", truth: "Ground truth", confidence: "Confidence" };
const LEAST = 100; // pixels of the screen: a panorama is zoomed into, and so needs some height
const viewers = new WeakMap();

export default function (component) {
  const { parentElement: root, data, setTriggerValue } = component;
  let viewer = viewers.get(root);
  if (!viewer || viewer.identity !== data.identity) {
    viewer?.close();
    viewer = new Viewer(root, data);
    viewers.set(root, viewer);
  }
  viewer.told = setTriggerValue;
  return () => { viewers.get(root)?.close(); viewers.delete(root); };
}

class Viewer {
  constructor(root, data) {
    this.identity = data.identity;
    this.data = data;
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.canvas = this.part("canvas");
    this.context = this.canvas.getContext("2d");
    this.layer = document.createElement("canvas");
    this.closed = new AbortController();
    this.off = new Set();
    this.zoom = 1; this.dx = 0; this.dy = 0; this.mark = null; this.maps = {};
    this.mode = data.other ? "swipe" : data.mask ? (data.picture ? "overlay" : "mask") : data.truth ? "truth" : "picture";
    if (data.other) this.part("divider").value = 50;
    if (data.safe) this.part("safe").checked = true;
    delete this.canvas.dataset.ready; // of the picture before
    this.canvas.setAttribute("aria-label", data.name);
    this.part("alt").textContent = data.alt;
    this.part("readout").textContent = "Loading …";
    this.controls();
    this.pointer();
    if (data.save) this.editor = new Editor(this); else { this.part("editor").hidden = true; this.part("editor").replaceChildren(); }
    this.sized = new ResizeObserver(() => this.resize());
    this.sized.observe(this.canvas.parentElement);
    this.load();
  }

  close() { this.closed.abort(); this.sized.disconnect(); this.picture?.close(); }

  listen(target, kind, act, options = {}) { target.addEventListener(kind, act, { ...options, signal: this.closed.signal }); }

  async load() {
    const wanted = ["mask", "other", "truth", "confidence"].filter((kind) => this.data[kind]);
    let without = "";
    try {
      const [picture, ...maps] = await Promise.all([
        this.data.picture && bitmap(this.data.picture, this.closed.signal).catch((error) => {
          if (this.closed.signal.aborted || !wanted.length) throw error;
          without = `Without its picture, which could not be loaded: ${error.message}. `;
        }),
        ...wanted.map((kind) => values(this.data[kind], this.closed.signal)),
      ]);
      this.picture = picture;
      wanted.forEach((kind, at) => { this.maps[kind] = maps[at]; });
    } catch (error) {
      if (!this.closed.signal.aborted) this.say(`The picture could not be loaded: ${error.message}`);
      return;
    }
    const first = this.maps[wanted[0]];
    this.width = first ? first.width : this.picture.width;
    this.height = first ? first.height : this.picture.height;
    this.editor?.ready(this.maps.mask, this.maps.truth);
    if (without) this.showMaps();
    this.say(`${without}Point at the picture, or move through it with the arrow keys.`);
    this.resize();
    this.canvas.dataset.ready = "yes";
  }

  // In a bucket the picture may be gone, or another one by now; and browsers show no TIFF.
  showMaps() {
    const select = this.part("mode");
    for (const option of [...select.options]) if (["overlay", "picture"].includes(option.value)) option.remove();
    this.mode = select.value;
  }

  controls() {
    const modes = [this.data.other && "swipe", this.data.other && "difference", this.data.mask && this.data.picture && "overlay", this.data.mask && "mask", this.data.picture && "picture", this.data.truth && "truth", this.data.confidence && "confidence"];
    const select = this.part("mode");
    select.replaceChildren(...modes.filter(Boolean).map((mode) => new Option(NAMES[mode], mode)));
    select.value = this.mode;
    this.listen(select, "change", () => { this.mode = select.value; this.draw(); });
    for (const name of ["divider", "opacity", "hatch", "safe"]) this.listen(this.part(name), "input", () => { this.recolour(); this.draw(); });
    this.listen(this.part("in"), "click", () => this.zoomBy(1.5));
    this.listen(this.part("out"), "click", () => this.zoomBy(1 / 1.5));
    this.listen(this.part("fit"), "click", () => this.fit());
    this.recolour();
    this.part("classes").replaceChildren(...this.data.classes.map((each) => this.chip(each)));
  }

  chip(each) {
    const label = document.createElement("label"), box = document.createElement("input"), swatch = document.createElement("span");
    box.type = "checkbox"; box.checked = true; box.dataset.id = each.id;
    swatch.className = "swatch"; swatch.dataset.id = each.id; swatch.setAttribute("aria-hidden", "true");
    this.listen(box, "change", () => { box.checked ? this.off.delete(each.id) : this.off.add(each.id); this.recolour(); this.draw(); });
    label.append(box, swatch, each.share === null ? each.name : `${each.name} ${each.share}`);
    requestAnimationFrame(() => this.swatches());
    return label;
  }

  colour(each) { return this.part("safe").checked ? each.safe : each.hex; }

  recolour() {
    this.colours = new Uint32Array(256); this.stripes = new Uint32Array(256); this.names = [];
    this.data.classes.forEach((each) => {
      const [r, g, b] = parsed(this.colour(each));
      this.names[each.id] = each.name;
      if (this.off.has(each.id)) return;
      this.colours[each.id] = packed(r, g, b);
      const light = r * 0.3 + g * 0.6 + b * 0.1 > 110 ? -90 : 110;
      this.stripes[each.id] = packed(r + light, g + light, b + light);
    });
    this.order = new Uint8Array(256);
    this.data.classes.forEach((each, at) => { this.order[each.id] = at; });
    this.swatches();
  }

  swatches() {
    for (const swatch of this.part("classes").querySelectorAll(".swatch")) {
      swatch.style.background = this.colour(this.data.classes[this.order[swatch.dataset.id]]);
    }
  }

  resize() {
    if (!this.width) return;
    const dense = Math.min(2, devicePixelRatio || 1), wide = this.canvas.parentElement.clientWidth;
    const high = Math.min(Math.max(wide * this.height / this.width, LEAST), innerHeight * 0.75);
    this.canvas.style.height = `${high}px`;
    this.canvas.width = Math.round(wide * dense); this.canvas.height = Math.round(high * dense);
    this.layer.width = this.canvas.width; this.layer.height = this.canvas.height;
    this.dense = dense;
    this.keepInside(); this.draw();
  }

  get scale() { return Math.min(this.canvas.width / this.width, this.canvas.height / this.height) * this.zoom; }
  get left() { return (this.canvas.width - this.width * this.scale) / 2 + this.dx; }
  get top() { return (this.canvas.height - this.height * this.scale) / 2 + this.dy; }

  fit() { this.zoom = 1; this.dx = 0; this.dy = 0; this.keepInside(); this.draw(); }

  zoomBy(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    if (!this.width) return;
    const px = (x - this.left) / this.scale, py = (y - this.top) / this.scale;
    this.zoom = Math.min(64, Math.max(1, this.zoom * factor));
    this.dx += x - (this.left + px * this.scale); this.dy += y - (this.top + py * this.scale);
    this.keepInside(); this.draw();
  }

  keepInside() {
    const mx = Math.max(0, (this.width * this.scale - this.canvas.width) / 2), my = Math.max(0, (this.height * this.scale - this.canvas.height) / 2);
    this.dx = Math.min(mx, Math.max(-mx, this.dx)); this.dy = Math.min(my, Math.max(-my, this.dy));
    this.canvas.classList.toggle("zoomed", this.zoom > 1);
  }

  draw() {
    if (!this.width || this.drawing) return;
    this.drawing = requestAnimationFrame(() => { this.drawing = 0; if (!this.closed.signal.aborted) this.paint(); });
  }

  paint() {
    const { context, canvas, scale, left, top } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = scale < 4;
    if (this.picture) context.drawImage(this.picture, left, top, this.width * scale, this.height * scale);
    const from = Math.round(canvas.width * this.part("divider").value / 100);
    if (this.mode !== "picture" && from < canvas.width) this.paintMap(this.shown(), from, canvas.width);
    if (this.mode === "swipe" && from > 0) this.paintMap(this.maps.other, 0, from);
    if (from > 0 && this.mode !== "picture") { context.fillStyle = "#fff"; context.fillRect(from - 2, 0, 4, canvas.height); context.fillStyle = "#000"; context.fillRect(from - 1, 0, 2, canvas.height); }
    if (this.mark) this.paintMark();
    this.editor?.paint(context);
  }

  shown() { return this.mode === "confidence" ? this.maps.confidence : this.mode === "truth" ? this.maps.truth : this.editor?.ids ?? this.maps.mask; }

  paintMap(map, from, until) {
    const width = until, { height } = this.layer, { scale, left, top } = this;
    const columns = new Int32Array(width - from), image = new ImageData(width - from, height), out = new Uint32Array(image.data.buffer);
    for (let x = 0; x < columns.length; x++) { const at = Math.floor((x + from - left) / scale); columns[x] = at >= 0 && at < map.width ? at : -1; }
    const alpha = (["overlay", "swipe", "difference"].includes(this.mode) ? Math.round(255 * this.part("opacity").value / 100) : 255) << 24;
    const hatch = this.part("hatch").checked && this.mode !== "confidence", grey = this.mode === "confidence";
    const against = this.mode === "difference" ? this.maps.other.values : null;
    for (let y = 0; y < height; y++) {
      const row = Math.floor((y - top) / scale);
      if (row < 0 || row >= map.height) continue;
      const start = row * map.width, to = y * columns.length;
      for (let x = 0; x < columns.length; x++) {
        if (columns[x] < 0) continue;
        const id = map.values[start + columns[x]];
        if (against && against[start + columns[x]] === id) continue;
        if (grey) { out[to + x] = packed(id, id, id) | alpha; continue; }
        const striped = hatch && on(this.order[id], x + from, y);
        const colour = striped ? this.stripes[id] : this.colours[id];
        if (colour) out[to + x] = (colour & 0xffffff) | alpha;
      }
    }
    this.layer.getContext("2d").putImageData(image, from, 0);
    this.context.drawImage(this.layer, from, 0, columns.length, height, from, 0, columns.length, height);
  }

  paintMark() {
    const x = this.left + (this.mark.x + 0.5) * this.scale, y = this.top + (this.mark.y + 0.5) * this.scale, size = 10 * this.dense;
    for (const [colour, wide] of [["#000", 5], ["#fff", 2]]) {
      this.context.strokeStyle = colour; this.context.lineWidth = wide * this.dense / 2; this.context.beginPath();
      this.context.moveTo(x - size, y); this.context.lineTo(x + size, y); this.context.moveTo(x, y - size); this.context.lineTo(x, y + size); this.context.stroke();
    }
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const sx = (event.clientX - box.left) * this.canvas.width / box.width, sy = (event.clientY - box.top) * this.canvas.height / box.height;
    const x = Math.floor((sx - this.left) / this.scale), y = Math.floor((sy - this.top) / this.scale);
    return { sx, sy, x, y, inside: x >= 0 && y >= 0 && x < this.width && y < this.height };
  }

  say(text) { if (this.part("readout").textContent !== text) this.part("readout").textContent = text; }

  tell({ x, y }) {
    const at = y * this.width + x, told = [`x ${x}, y ${y}`];
    const ids = this.editor?.ids ?? this.maps.mask;
    if (this.maps.other) {
      for (const [at2, map] of [[0, this.maps.mask], [1, this.maps.other]]) told.push(`${this.data.models[at2]}: ${this.names[map.values[at]] ?? `id ${map.values[at]}`}`);
    } else if (ids) told.push(this.names[ids.values[at]] ?? `id ${ids.values[at]}`);
    if (this.maps.confidence) told.push(`confidence ${Math.round(this.maps.confidence.values[at] / 2.55)} %`);
    if (this.maps.truth) told.push(`truth: ${this.names[this.maps.truth.values[at]] ?? "none"}`);
    this.say(told.join(" · "));
  }

  pointer() {
    const fingers = new Map();
    let apart = 0, dragged = null;
    this.listen(this.canvas, "pointerdown", (event) => {
      if (!this.width) return;
      fingers.set(event.pointerId, event); this.canvas.focus({ preventScroll: true });
      this.canvas.setPointerCapture(event.pointerId);
      apart = 0;
      dragged = this.at(event);
      if (fingers.size === 1) this.editor?.down(dragged);
    });
    this.listen(this.canvas, "pointermove", (event) => {
      if (!this.width) return;
      const here = this.at(event);
      if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
      if (fingers.size === 2) { apart = this.pinch([...fingers.values()], apart); return; }
      if (fingers.size === 1 && !this.editor?.tool && dragged) { this.dx += here.sx - dragged.sx; this.dy += here.sy - dragged.sy; dragged = here; this.keepInside(); this.draw(); }
      if (fingers.size === 1) this.editor?.move(here);
      if (here.inside) this.tell(here);
    });
    const up = (event) => { fingers.delete(event.pointerId); dragged = null; this.editor?.up(); };
    this.listen(this.canvas, "pointerup", up);
    this.listen(this.canvas, "pointercancel", up);
    this.listen(this.canvas, "wheel", (event) => {
      if (!event.ctrlKey && this.canvas.getRootNode().activeElement !== this.canvas) return; // the page scrolls on
      event.preventDefault();
      const { sx, sy } = this.at(event);
      this.zoomBy(Math.exp(-event.deltaY / 400), sx, sy);
    }, { passive: false });
    this.listen(this.canvas, "keydown", (event) => this.key(event));
  }

  pinch([one, two], before) {
    const apart = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    const { sx, sy } = this.at({ clientX: (one.clientX + two.clientX) / 2, clientY: (one.clientY + two.clientY) / 2 });
    if (before) this.zoomBy(apart / before, sx, sy);
    return apart;
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!this.width || (!steps && (event.ctrlKey || event.metaKey) && event.key !== "z")) return;
    const divider = this.part("divider");
    if (steps && event.altKey) { this.dx -= steps[0] * 40; this.dy -= steps[1] * 40; this.keepInside(); }
    else if (steps) this.step(steps, event.shiftKey ? 10 : 1);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
    else if (event.key === "-") this.zoomBy(1 / 1.5);
    else if (event.key === "0") this.fit();
    else if (event.key === "[" || event.key === "]") divider.value = Number(divider.value) + (event.key === "]" ? 5 : -5);
    else if (event.key === "h") { this.part("hatch").checked = !this.part("hatch").checked; }
    else if (!this.editor?.key(event)) return;
    event.preventDefault();
    this.draw();
  }

  step([x, y], by) {
    const mark = this.mark ?? { x: Math.floor(this.width / 2), y: Math.floor(this.height / 2) };
    this.mark = { x: Math.min(this.width - 1, Math.max(0, mark.x + x * by)), y: Math.min(this.height - 1, Math.max(0, mark.y + y * by)) };
    this.tell(this.mark);
  }
}

function packed(r, g, b) { const inside = (value) => Math.min(255, Math.max(0, value)); return ((255 << 24) | (inside(b) << 16) | (inside(g) << 8) | inside(r)) >>> 0; }

function parsed(hex) { return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)); }

// Whether a pixel of the screen lies on a stripe of the class's pattern.
function on(order, x, y) {
  const wide = 8 + 2 * (order >> 2);
  return [(x + y) % wide < 2, (x - y + 100000) % wide < 2, y % wide < 2, x % wide < 2][order & 3];
}
