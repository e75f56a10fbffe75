// Thousands of images of a job. Only the cards in sight exist, and rows come in pages of the service as they come near.

const NEAR = 60, FAR = 200, GAP = 12, HIGH = 200, WANTED = 210;
const galleries = new WeakMap();

export default function (component) {
  const { parentElement: root, data, setTriggerValue } = component;
  let gallery = galleries.get(root);
  if (!gallery) { gallery = new Gallery(root); galleries.set(root, gallery); }
  gallery.told = setTriggerValue;
  gallery.show(data);
  return () => { galleries.get(root)?.close(); galleries.delete(root); };
}

class Gallery {
  constructor(root) {
    this.box = root.querySelector(".gallery"); this.ground = root.querySelector(".ground"); this.said = root.querySelector("[role=status]");
    this.cards = new Map(); this.turn = 0;
    this.box.addEventListener("scroll", () => this.look(), { passive: true });
    this.sized = new ResizeObserver(() => this.layout());
    this.sized.observe(this.box);
  }

  close() { this.sized.disconnect(); this.turn++; }

  show(data) {
    const again = !this.data || this.data.rows !== data.rows || this.data.version !== data.version;
    const other = !this.data || this.data.rows !== data.rows;
    this.data = data;
    this.box.setAttribute("aria-label", data.label);
    if (again) { this.turn++; this.rows = []; this.loading = false; this.clear(); this.take(data.first); }
    if (other) this.box.scrollTop = 0;
    this.layout();
  }

  clear() { for (const card of this.cards.values()) card.remove(); this.cards.clear(); }

  layout() {
    if (!this.data || !this.ground.clientWidth) return;
    this.columns = Math.max(1, Math.floor((this.ground.clientWidth + GAP) / (WANTED + GAP)));
    this.wide = (this.ground.clientWidth - GAP * (this.columns - 1)) / this.columns;
    const count = this.ended ? this.rows.length : Math.max(this.rows.length, this.data.total);
    this.ground.style.height = `${Math.ceil(count / this.columns) * (HIGH + GAP)}px`;
    for (const [at, card] of this.cards) this.place(card, at);
    this.look();
  }

  place(card, at) { card.style.transform = `translate(${(at % this.columns) * (this.wide + GAP)}px, ${Math.floor(at / this.columns) * (HIGH + GAP)}px)`; card.style.width = `${this.wide}px`; }

  look() {
    if (!this.columns) return;
    const first = Math.max(0, Math.floor(this.box.scrollTop / (HIGH + GAP)) - 1) * this.columns;
    const last = (Math.ceil((this.box.scrollTop + this.box.clientHeight) / (HIGH + GAP)) + 1) * this.columns;
    for (const [at, card] of this.cards) if (at < first || at >= last) { card.remove(); this.cards.delete(at); }
    for (let at = first; at < Math.min(last, this.rows.length); at++) if (!this.cards.has(at)) this.add(at);
    if (last > this.rows.length && !this.ended) this.more(Math.min(FAR, Math.max(NEAR, last - this.rows.length)));
  }

  add(at) {
    const row = this.rows[at], card = document.createElement("button"), name = document.createElement("span"), fact = document.createElement("span");
    card.type = "button"; card.dataset.index = row.index;
    if (row.picture) {
      const picture = document.createElement("img");
      picture.src = `${this.data.pictures}/${row.index}/${row.picture}?as=thumbnail`;
      picture.alt = ""; picture.decoding = "async";
      card.append(picture);
    }
    name.className = "name"; name.textContent = row.name;
    fact.className = row.status === "failed" ? "failed" : "fact"; fact.textContent = facts(row);
    card.append(name, fact);
    card.addEventListener("click", () => this.told("opened", row.index));
    this.place(card, at); this.cards.set(at, card);
    const later = [...this.cards.keys()].filter((each) => each > at).sort((one, two) => one - two)[0];
    this.ground.insertBefore(card, later === undefined ? null : this.cards.get(later)); // Tab goes in the order of the images
  }

  take(page) {
    this.rows.push(...page.items); this.cursor = page.next_cursor; this.ended = page.next_cursor === null;
    this.said.textContent = this.ended && !this.rows.length ? "No images." : "";
  }

  async more(count) {
    if (this.loading) return;
    this.loading = true;
    const turn = this.turn;
    try {
      const answer = await fetch(`${this.data.rows}&limit=${count}&cursor=${encodeURIComponent(this.cursor)}`), page = await answer.json();
      if (turn !== this.turn) return;
      if (!answer.ok) throw new Error(page.detail ?? page.code);
      this.take(page);
    } catch (error) { if (turn === this.turn) { this.ended = true; this.said.textContent = `Could not be loaded: ${error.message}`; } }
    if (turn === this.turn) { this.loading = false; this.layout(); }
  }
}

function facts(row) {
  if (row.error) return `failed: ${row.error}`;
  const told = [];
  if (row.miou !== undefined) told.push(`mIoU ${Math.round(row.miou * 100)} %`);
  if (row.confidence !== undefined) told.push(`confidence ${Math.round(row.confidence * 100)} %`);
  if (row.warnings) told.push(`${row.warnings} warning${row.warnings > 1 ? "s" : ""}`);
  return told.length ? told.join(" · ") : row.status;
}
