// Pictures from the page's routes to numbers, and a mask of numbers to a PNG of grey.

const STRIP = 256; // rows that are read from a canvas at once

async function bitmap(address, signal) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return createImageBitmap(await answer.blob());
}

// The first channel of every pixel, read in strips: never the whole picture in four channels.
async function values(address, signal) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const image = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = image, out = new Uint8Array(width * height);
  const canvas = new OffscreenCanvas(width, Math.min(STRIP, height)), context = canvas.getContext("2d", { willReadFrequently: true });
  for (let y = 0; y < height; y += STRIP) {
    const rows = Math.min(STRIP, height - y);
    context.clearRect(0, 0, width, rows);
    context.drawImage(image, 0, -y);
    const pixels = context.getImageData(0, 0, width, rows).data;
    for (let at = 0, to = y * width; at < pixels.length; at += 4) out[to++] = pixels[at];
  }
  image.close();
  return { width, height, values: out };
}

async function greyPng({ width, height, values }) {
  const lines = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) lines.set(values.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const packedLines = new Uint8Array(await new Response(new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer());
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width); head.setUint32(4, height); head.setUint8(8, 8);
  return new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", new Uint8Array(head.buffer)), chunk("IDAT", packedLines), chunk("IEND", new Uint8Array())], { type: "image/png" });
}

function chunk(kind, data) {
  const out = new Uint8Array(data.length + 12), view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let at = 0; at < 4; at++) out[4 + at] = kind.charCodeAt(at);
  out.set(data, 8);
  view.setUint32(data.length + 8, crc(out.subarray(4, data.length + 8)));
  return out;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, at) => { let sum = at; for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1; return sum; });

function crc(data) {
  let sum = 0xffffffff;
  for (const byte of data) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
