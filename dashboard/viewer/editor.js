// Mends a mask: brush, eraser (back to what the model said), polygon, fill; every action can be undone.

const RADIUS = 12; // of the brush, in pixels

class Editor {
  constructor(viewer) {
    this.viewer = viewer; this.tool = null; this.done = []; this.corners = []; this.ids = null;
    const host = viewer.part("editor"), make = (tag, values, ...inner) => { const made = Object.assign(document.createElement(tag), values); made.append(...inner); return made; };
    this.buttons = {};
    const tools = make("div", { className: "tools" });
    tools.setAttribute("role", "group"); tools.setAttribute("aria-label", "Correct the mask");
    for (const [name, text] of [["brush", "Brush"], ["erase", "Erase"], ["polygon", "Polygon"], ["fill", "Fill"]]) {
      const button = make("button", { type: "button", textContent: text });
      button.setAttribute("aria-pressed", "false");
      viewer.listen(button, "click", () => this.choose(this.tool === name ? null : name));
      this.buttons[name] = button; tools.append(button);
    }
    this.painted = make("select", {}, ...viewer.data.classes.map((each) => new Option(each.name, each.id)));
    this.size = make("input", { type: "range", min: 1, max: 100, value: RADIUS });
    this.back = make("button", { type: "button", textContent: "Undo", disabled: true });
    this.keep = make("button", { type: "button", textContent: "Save correction", disabled: true });
    this.said = make("span", { className: "said" }); this.said.setAttribute("role", "status");
    tools.append(make("label", {}, "Class ", this.painted), make("label", {}, "Size ", this.size), this.back, this.keep, this.said);
    host.replaceChildren(tools); host.hidden = false;
    viewer.listen(this.back, "click", () => this.undo());
    viewer.listen(this.keep, "click", () => this.save());
  }

  // mask: what the model said, which is shown until somebody draws. correction: what was saved of it, if anything.
  ready(mask, correction) {
    this.original = mask.values; this.ids = { ...mask, values: mask.values.slice() }; this.scratch = new Uint8Array(mask.values.length);
    this.correction = correction;
  }

  choose(name) {
    if (name && this.correction) { this.ids.values.set(this.correction.values); this.correction = null; this.said.textContent = "Goes on from the saved correction"; }
    this.tool = name; this.corners = [];
    for (const [each, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", String(each === name));
    this.viewer.canvas.classList.toggle("editing", name !== null);
    this.viewer.draw();
  }

  down(here) {
    if (!this.tool || !here.inside) return;
    if (this.tool === "polygon") { this.corner(here); return; }
    this.begin();
    if (this.tool === "fill") { this.flood(here); this.end(); return; }
    this.stroke = here; this.dab(here);
  }

  move(here) {
    if (!this.stroke) return;
    const steps = Math.max(1, Math.ceil(Math.hypot(here.x - this.stroke.x, here.y - this.stroke.y) / Math.max(1, this.size.value / 3)));
    for (let at = 1; at <= steps; at++) this.dab({ x: Math.round(this.stroke.x + (here.x - this.stroke.x) * at / steps), y: Math.round(this.stroke.y + (here.y - this.stroke.y) * at / steps) });
    this.stroke = here;
  }

  up() { if (this.stroke) { this.stroke = null; this.end(); } }

  key(event) {
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) { this.undo(); return true; }
    if (!this.tool) return false;
    if (event.key === "Enter" && this.corners.length > 2) { this.closePolygon(); return true; }
    if (event.key === "Escape") { this.choose(null); return true; }
    if (event.key !== " " || !this.viewer.mark) return false;
    this.down({ ...this.viewer.mark, inside: true }); this.up();
    return true;
  }

  begin() { this.scratch.set(this.ids.values); this.box = [Infinity, Infinity, -1, -1]; }

  touch(x, y) { const box = this.box; if (x < box[0]) box[0] = x; if (y < box[1]) box[1] = y; if (x > box[2]) box[2] = x; if (y > box[3]) box[3] = y; }

  end() {
    const [x0, y0, x1, y1] = this.box, wide = this.ids.width;
    if (x1 >= 0) {
      const rows = [];
      for (let y = y0; y <= y1; y++) rows.push(this.scratch.slice(y * wide + x0, y * wide + x1 + 1));
      this.done.push({ x0, y0, rows });
    }
    this.changed();
  }

  undo() {
    const last = this.done.pop();
    last?.rows.forEach((row, at) => this.ids.values.set(row, (last.y0 + at) * this.ids.width + last.x0));
    this.changed();
  }

  changed() {
    this.back.disabled = this.done.length === 0; this.keep.disabled = this.done.at(-1) === this.saved;
    this.said.textContent = "";
    this.viewer.draw();
  }

  dab({ x, y }) {
    const radius = Number(this.size.value), { width, height, values } = this.ids, id = Number(this.painted.value);
    for (let row = Math.max(0, y - radius); row <= Math.min(height - 1, y + radius); row++) {
      const half = Math.floor(Math.sqrt(radius * radius - (row - y) * (row - y)));
      const from = Math.max(0, x - half), to = Math.min(width - 1, x + half);
      if (from > to) continue;
      if (this.tool === "erase") values.set(this.original.subarray(row * width + from, row * width + to + 1), row * width + from);
      else values.fill(id, row * width + from, row * width + to + 1);
      this.touch(from, row); this.touch(to, row);
    }
    this.viewer.draw();
  }

  flood({ x, y }) {
    const { width, height, values } = this.ids, id = Number(this.painted.value), was = values[y * width + x], stack = [[x, y]];
    while (was !== id && stack.length) {
      const [sx, row] = stack.pop(), line = row * width;
      if (values[line + sx] !== was) continue;
      let from = sx, to = sx;
      while (from > 0 && values[line + from - 1] === was) from--;
      while (to < width - 1 && values[line + to + 1] === was) to++;
      values.fill(id, line + from, line + to + 1);
      this.touch(from, row); this.touch(to, row);
      for (const next of [row - 1, row + 1]) {
        if (next < 0 || next >= height) continue;
        for (let at = from; at <= to; at++) if (values[next * width + at] === was && (at === from || values[next * width + at - 1] !== was)) stack.push([at, next]);
      }
    }
  }

  corner(here) {
    const first = this.corners[0], near = 12 * this.viewer.dense / this.viewer.scale;
    if (this.corners.length > 2 && Math.hypot(here.x - first.x, here.y - first.y) < near) { this.closePolygon(); return; }
    this.corners.push(here); this.viewer.draw();
  }

  closePolygon() {
    const corners = this.corners, { width, height, values } = this.ids, id = Number(this.painted.value);
    this.begin();
    const top = Math.max(0, Math.min(...corners.map((each) => each.y))), bottom = Math.min(height - 1, Math.max(...corners.map((each) => each.y)));
    for (let y = top; y <= bottom; y++) {
      const cuts = [];
      corners.forEach((one, at) => { const two = corners[(at + 1) % corners.length]; if ((one.y <= y) !== (two.y <= y)) cuts.push(one.x + (y - one.y) * (two.x - one.x) / (two.y - one.y)); });
      cuts.sort((one, two) => one - two);
      for (let at = 0; at + 1 < cuts.length; at += 2) {
        const from = Math.max(0, Math.ceil(cuts[at])), to = Math.min(width - 1, Math.floor(cuts[at + 1]));
        if (from > to) continue;
        values.fill(id, y * width + from, y * width + to + 1); this.touch(from, y); this.touch(to, y);
      }
    }
    this.corners = []; this.end();
  }

  paint(context) {
    if (!this.corners.length) return;
    const { left, top, scale, dense } = this.viewer;
    for (const [colour, wide] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = colour; context.lineWidth = wide * dense; context.beginPath();
      this.corners.forEach((each, at) => { const x = left + each.x * scale, y = top + each.y * scale; at ? context.lineTo(x, y) : context.moveTo(x, y); context.rect(x - 3, y - 3, 6, 6); context.moveTo(x, y); });
      context.stroke();
    }
  }

  async save() {
    const last = this.done.at(-1);
    this.keep.disabled = true; this.said.textContent = "Saving …";
    try {
      const body = await greyPng(this.ids), headers = { "Content-Type": "image/png", "X-Maskmill": "correction" };
      const answer = await fetch(this.viewer.data.save, { method: "PUT", body, headers });
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.detail ?? told.code);
      this.saved = last; this.keep.disabled = this.done.at(-1) === last; // somebody may have drawn on meanwhile
      this.said.textContent = `Saved as version ${told.version ?? told.correction?.version ?? ""}`;
      this.viewer.told("saved", Date.now());
    } catch (error) { this.said.textContent = `Not saved: ${error.message}`; this.keep.disabled = false; }
  }
}
