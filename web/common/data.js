// The data of a page: named columns of numbers and texts, packed by
// tools/page/page_data.cpp. Little-endian, each column at a multiple of 8.

const column_types = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f64: Float64Array,
};

class PageData {
  constructor(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
    const { meta, columns } = JSON.parse(header);
    this.meta = meta;
    this.columns_ = new Map();
    let at = Math.ceil((4 + length) / 8) * 8;
    for (const [name, type, count] of columns) {
      const Type = column_types[type];
      this.columns_.set(name, new Type(buffer, at, count));
      at += Math.ceil((count * Type.BYTES_PER_ELEMENT) / 8) * 8;
    }
  }

  column(name) {
    const found = this.columns_.get(name);
    if (!found) throw new Error(`the page has no column ${name}`);
    return found;
  }

  // Texts are kept as bytes with the end of each.
  texts(name) {
    const bytes = this.column(name);
    const ends = this.column(`${name}_ends`);
    const decoder = new TextDecoder();
    return Array.from(ends, (end, i) =>
      decoder.decode(bytes.subarray(i === 0 ? 0 : ends[i - 1], end)));
  }
}

async function load_page_data() {
  const packed = atob(document.getElementById("data").textContent.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; ++i) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream()
    .pipeThrough(new DecompressionStream("deflate"));
  return new PageData(await new Response(stream).arrayBuffer());
}
