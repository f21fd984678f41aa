// Shared text of the tiled attention kernels: a workgroup of 64 invocations, an 8 x 8 grid (tx, ty), over tiles of 32 rows and
// 32 columns (8 vec4) in workgroup memory. Invocation (tx, ty) holds rows ty + 8i against rows tx + 8j of two tiles, and of a
// result the rows ty + 8i and columns 4 tx .. 4 tx + 3.
// The kernel says how many TILES it keeps, and its `fetch` reads one vec4 of what is staged.

const CHUNKS = (VECS + 7u) / 8u; // of 32 dimensions
const PLACES = vec4<u32>(0u, 8u, 16u, 24u);
var<workgroup> tiles: array<vec4<f32>, 256u * TILES>;

// The columns of a row are permuted so that neither walking rows nor walking columns meets a bank twice.
fn cell(row: u32, column: u32) -> u32 { return row * 8u + (column ^ (row & 7u)); }

// Tokens first .. first + 31 of one sequence, dimensions of one chunk; zero outside. `base` is element 0 of token 0.
fn stage(tile: u32, kind: u32, base: u32, stride: u32, first: u32, chunk: u32, lane: u32) {
  let d = chunk * 8u + lane % 8u;
  for (var row = lane / 8u; row < 32u; row += 8u) {
    var value = vec4<f32>();
    if (first + row < params.length && d < VECS) { value = fetch(kind, base + (first + row) * stride + d); }
    tiles[tile + cell(row, lane % 8u)] = value;
  }
}

// Rows r, r + 8, r + 16, r + 24 of a tile at one column.
fn strided(tile: u32, row: u32, column: u32) -> mat4x4<f32> {
  let at = tile + cell(row, column);
  return mat4x4<f32>(tiles[at], tiles[at + 64u], tiles[at + 128u], tiles[at + 192u]);
}

fn column_product(sum: vec4<f32>, m: mat4x4<f32>, v: vec4<f32>) -> vec4<f32> {
  return fma(m[3], vec4<f32>(v.w), fma(m[2], vec4<f32>(v.z), fma(m[1], vec4<f32>(v.y), fma(m[0], vec4<f32>(v.x), sum))));
}

// sum + m * n in chained multiply-adds, which spares the extra addition of the operators.
fn product(sum: mat4x4<f32>, m: mat4x4<f32>, n: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    column_product(sum[0], m, n[0]), column_product(sum[1], m, n[1]), column_product(sum[2], m, n[2]), column_product(sum[3], m, n[3]),
  );
}
