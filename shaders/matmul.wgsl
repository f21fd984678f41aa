// Dense products with what belongs to a linear layer folded in:
//   c[m,n] = [before +] alpha * (lora[m,n] + a·b) [+ bias] [+ residual]
// All matrices are row-major and dense. The variants differ in what lies contiguous:
//   NT  a[m,k] b[n,k]      y = x W^T            lora = scale * left B'^T,  left = z[m,width]
//   NN  a[m,k] b[k,n]      dx = dy W            lora = mask * (left A),    left = dz[m,width], A[width,n] in `right`
//   TN  a[k,m] b[k,n]      dW = dy^T x
//   UP  a[m,k], b = B'     dz = dy B'
// B' [features, width] is LoRA's B [features, rank] (in `right`) spread over the segments of a fused projection: row o holds
// its B in the columns of the segment that o lies in, and zeros elsewhere. It is never formed.
// Dropout (shaders/dropout.wgsl) masks x where x is an operand (a in NT, b in TN) and the LoRA term of dx in NN.
//
// Order of the sum over k: `tiled` adds k = 0, 1, 2... one after the other, LoRA's first; `plain` adds groups of four in that
// order; `skinny` adds 16 interleaved partial sums and then those in order. None depends on m, nor on which rows share a tile,
// so that a row's result is the same in a batch of any size as long as the same kernel computes it; they differ in rounding.
// include: random
// include: dropout
// include: memory
// include: lora

const NT = 0u;
const NN = 1u;
const TN = 2u;
const UP = 3u;
override variant: u32;
override has_lora_term: bool = LORA && (variant == NT || variant == NN);

struct Params {
  m: u32, n: u32, k: u32, a_offset: u32, b_offset: u32, c_offset: u32,
  chunk: u32, // of k, for one layer of the grid; chunk z writes its own c, at z * m * n
  alpha: f32, accumulate: u32, bias: u32, residual: u32,
  rank: u32, width: u32, scale: f32, // of LoRA; width = segments * rank
  segment_1: u32, segment_2: u32, segment_3: u32, // first feature of segments 1 to 3
  dropout: f32, salt: u32,
  rows_first: u32, // 1: neighbouring workgroups take other rows, and share b in the cache; 0: other columns, and share a
}
@group(0) @binding(0) var<uniform> params: Params;

fn segment(feature: u32) -> u32 {
  return u32(feature >= params.segment_1) + u32(feature >= params.segment_2) + u32(feature >= params.segment_3);
}

// Blocks are 4 x 4. In a block of the left operand, column i holds k + i of four rows; in one of the right operand, column i
// holds k + i of four output columns. Rows and columns beyond the edge repeat the last one: their products are never stored.
// k beyond `end` gives zeros on the left, and repeats the last k on the right.

fn a_along_k(row: u32, k: u32, end: u32) -> vec4<f32> {
  let element = min(row, params.m - 1u) * params.k + k;
  let v = load_a(params.a_offset + element, end - k);
  if (DROPOUT && variant == NT) { return v * keep4(element); }
  return v;
}

fn a_along_m(k: u32, row: u32, end: u32) -> vec4<f32> {
  let first = min(row, params.m - 1u);
  return select(vec4<f32>(), load_a(params.a_offset + min(k, end - 1u) * params.m + first, params.m - first), k < end);
}

fn a_block(row: u32, k: u32, end: u32) -> mat4x4<f32> {
  if (variant == TN) {
    return mat4x4<f32>(a_along_m(k, row, end), a_along_m(k + 1u, row, end), a_along_m(k + 2u, row, end), a_along_m(k + 3u, row, end));
  }
  return transpose(mat4x4<f32>(a_along_k(row, k, end), a_along_k(row + 1u, k, end), a_along_k(row + 2u, k, end), a_along_k(row + 3u, k, end)));
}

fn b_along_k(col: u32, k: u32, end: u32) -> vec4<f32> {
  return load_b(params.b_offset + min(col, params.n - 1u) * params.k + k, end - k);
}

fn b_along_n(k: u32, col: u32, end: u32) -> vec4<f32> {
  let first = min(col, params.n - 1u);
  let element = min(k, end - 1u) * params.n + first;
  let v = load_b(params.b_offset + element, params.n - first);
  if (DROPOUT && variant == TN) { return v * keep4(element); }
  return v;
}

fn b_block(k: u32, col: u32, end: u32) -> mat4x4<f32> {
  if (variant == NT) {
    return transpose(mat4x4<f32>(b_along_k(col, k, end), b_along_k(col + 1u, k, end), b_along_k(col + 2u, k, end), b_along_k(col + 3u, k, end)));
  }
  if (variant == UP) {
    return mat4x4<f32>(spread(k, end, col), spread(k + 1u, end, col), spread(k + 2u, end, col), spread(k + 3u, end, col));
  }
  return mat4x4<f32>(b_along_n(k, col, end), b_along_n(k + 1u, col, end), b_along_n(k + 2u, col, end), b_along_n(k + 3u, col, end));
}

// B'[feature, q to q + 3]
fn spread(feature: u32, features: u32, q: u32) -> vec4<f32> {
  let o = min(feature, features - 1u);
  return load_spread(o * params.rank, q - segment(o) * params.rank); // wraps far beyond the rank where q lies before the segment
}

fn left_along_q(row: u32, q: u32, end: u32) -> vec4<f32> {
  return load_left(min(row, params.m - 1u) * params.width + q, end - q);
}

fn left_block(row: u32, q: u32, end: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(left_along_q(row, q, end), left_along_q(row + 1u, q, end), left_along_q(row + 2u, q, end), left_along_q(row + 3u, q, end)));
}

fn right_along_n(q: u32, col: u32, end: u32) -> vec4<f32> {
  let first = min(col, params.n - 1u);
  return load_right(min(q, end - 1u) * params.n + first, params.n - first);
}

fn right_block(q: u32, col: u32, end: u32) -> mat4x4<f32> {
  if (variant == NT) {
    return transpose(mat4x4<f32>(spread(col, params.n, q), spread(col + 1u, params.n, q), spread(col + 2u, params.n, q), spread(col + 3u, params.n, q)));
  }
  return mat4x4<f32>(right_along_n(q, col, end), right_along_n(q + 1u, col, end), right_along_n(q + 2u, col, end), right_along_n(q + 3u, col, end));
}

// The columns of `left` that output columns [col, col + columns) need: those of their segments in NT, all of them in NN.
fn lora_range(col: u32, columns: u32) -> vec2<u32> {
  if (!has_lora_term) { return vec2<u32>(); }
  if (variant == NT) {
    let last = min(col + columns, params.n) - 1u;
    return vec2<u32>(segment(min(col, last)), segment(last) + 1u) * params.rank;
  }
  return vec2<u32>(0u, params.width);
}

// sum + x^T y, four k in order; column i of the result is a row of the output.
fn multiply(sum: mat4x4<f32>, x: mat4x4<f32>, y: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    sum[0] + x[0].x * y[0] + x[1].x * y[1] + x[2].x * y[2] + x[3].x * y[3],
    sum[1] + x[0].y * y[0] + x[1].y * y[1] + x[2].y * y[2] + x[3].y * y[3],
    sum[2] + x[0].z * y[0] + x[1].z * y[1] + x[2].z * y[2] + x[3].z * y[3],
    sum[3] + x[0].w * y[0] + x[1].w * y[1] + x[2].w * y[2] + x[3].w * y[3],
  );
}

// The LoRA term, once summed, before the base product is added to it.
fn scale_lora(sum: mat4x4<f32>, row: u32, col: u32) -> mat4x4<f32> {
  if (DROPOUT && variant == NN) {
    let at = row * params.n + col;
    return mat4x4<f32>(
      sum[0] * keep4(at), sum[1] * keep4(at + params.n), sum[2] * keep4(at + 2u * params.n), sum[3] * keep4(at + 3u * params.n),
    );
  }
  return params.scale * sum;
}

// Column and row of a workgroup's tile.
fn tile_of(group: vec3<u32>) -> vec2<u32> {
  return select(group.xy, group.yx, params.rows_first == 1u);
}

fn finish(row: u32, col: u32, layer: u32, product: vec4<f32>) {
  if (row >= params.m || col >= params.n) { return; }
  let count = params.n - col;
  let at = params.c_offset + (layer * params.m + row) * params.n + col;
  var value = params.alpha * product;
  if (params.bias == 1u) { value += load_bias(col, count); }
  if (params.residual == 1u) { value += load_residual(at, count); }
  if (params.accumulate == 1u) { value += load_c(at, count); }
  store_c(at, count, value);
}

// kernel: plain
// 8 x 8 of c per invocation, in registers: on a processor loads cost more than products, and here each value that is loaded is
// used eight times. Places are computed before the loop and only moved along in it, since such compilers hoist nothing.

// Where the four vectors of a block of a or b begin, and how many elements their rows still hold.
struct Cursor { at: vec4<u32>, count: u32 }

fn a_cursor(row: u32, k: u32) -> Cursor {
  if (variant == TN) {
    let first = min(row, params.m - 1u);
    return Cursor(params.a_offset + (vec4<u32>(0u, 1u, 2u, 3u) + k) * params.m + first, params.m - first);
  }
  return Cursor(params.a_offset + min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.m - 1u)) * params.k + k, 4u);
}

fn b_cursor(k: u32, col: u32) -> Cursor {
  if (variant == NT) {
    return Cursor(params.b_offset + min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(params.n - 1u)) * params.k + k, 4u);
  }
  let first = min(col, params.n - 1u);
  return Cursor(params.b_offset + (vec4<u32>(0u, 1u, 2u, 3u) + k) * params.n + first, params.n - first);
}

fn a_at(at: u32, count: u32) -> vec4<f32> {
  let v = load_a(at, count);
  if (DROPOUT && variant == NT) { return v * keep4(at - params.a_offset); }
  return v;
}

fn b_at(at: u32, count: u32) -> vec4<f32> {
  let v = load_b(at, count);
  if (DROPOUT && variant == TN) { return v * keep4(at - params.b_offset); }
  return v;
}

// Four rows of a, four of k each.
fn a_rows(c: Cursor) -> mat4x4<f32> {
  let v = mat4x4<f32>(a_at(c.at.x, c.count), a_at(c.at.y, c.count), a_at(c.at.z, c.count), a_at(c.at.w, c.count));
  if (variant == TN) { return transpose(v); }
  return v;
}

// Four columns of b, four of k each (NT), or four of k, four columns each.
fn b_vectors(c: Cursor) -> mat4x4<f32> {
  return mat4x4<f32>(b_at(c.at.x, c.count), b_at(c.at.y, c.count), b_at(c.at.z, c.count), b_at(c.at.w, c.count));
}

fn advance(sum: mat4x4<f32>, x: mat4x4<f32>, y: mat4x4<f32>) -> mat4x4<f32> {
  if (variant == NT) { return sum + mat4x4<f32>(x[0] * y, x[1] * y, x[2] * y, x[3] * y); }
  return sum + mat4x4<f32>(y * x[0], y * x[1], y * x[2], y * x[3]);
}

@compute @workgroup_size(4, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let block = tile_of(group) * 4u + local.xy;
  let row = block.y * 8u;
  let col = block.x * 8u;
  if (row >= params.m || col >= params.n) { return; }
  var s00 = mat4x4<f32>();
  var s01 = mat4x4<f32>();
  var s10 = mat4x4<f32>();
  var s11 = mat4x4<f32>();
  if (has_lora_term) {
    let lora = lora_range(col, 8u);
    for (var q = lora.x; q < lora.y; q += 4u) {
      let x0 = left_block(row, q, lora.y);
      let x1 = left_block(row + 4u, q, lora.y);
      let y0 = right_block(q, col, lora.y);
      let y1 = right_block(q, col + 4u, lora.y);
      s00 = multiply(s00, x0, y0);
      s01 = multiply(s01, x0, y1);
      s10 = multiply(s10, x1, y0);
      s11 = multiply(s11, x1, y1);
    }
    s00 = scale_lora(s00, row, col);
    s01 = scale_lora(s01, row, col + 4u);
    s10 = scale_lora(s10, row + 4u, col);
    s11 = scale_lora(s11, row + 4u, col + 4u);
  }
  let end = min((group.z + 1u) * params.chunk, params.k);
  var k = group.z * params.chunk;
  if (variant != UP) {
    var a0 = a_cursor(row, k);
    var a1 = a_cursor(row + 4u, k);
    var b0 = b_cursor(k, col);
    var b1 = b_cursor(k, col + 4u);
    let a_step = select(4u, 4u * params.m, variant == TN);
    let b_step = select(4u * params.n, 4u, variant == NT);
    for (; k + 4u <= end; k += 4u) {
      let x0 = a_rows(a0);
      let x1 = a_rows(a1);
      let y0 = b_vectors(b0);
      let y1 = b_vectors(b1);
      s00 = advance(s00, x0, y0);
      s01 = advance(s01, x0, y1);
      s10 = advance(s10, x1, y0);
      s11 = advance(s11, x1, y1);
      a0.at += a_step;
      a1.at += a_step;
      b0.at += b_step;
      b1.at += b_step;
    }
  }
  // What is left of k, and B', whose blocks must be looked up.
  for (; k < end; k += 4u) {
    let x0 = a_block(row, k, end);
    let x1 = a_block(row + 4u, k, end);
    let y0 = b_block(k, col, end);
    let y1 = b_block(k, col + 4u, end);
    s00 = multiply(s00, x0, y0);
    s01 = multiply(s01, x0, y1);
    s10 = multiply(s10, x1, y0);
    s11 = multiply(s11, x1, y1);
  }
  for (var i = 0u; i < 4u; i++) {
    finish(row + i, col, group.z, s00[i]);
    finish(row + i, col + 4u, group.z, s01[i]);
    finish(row + 4u + i, col, group.z, s10[i]);
    finish(row + 4u + i, col + 4u, group.z, s11[i]);
  }
}

// kernel: tiled
// 64 x 64 of c per workgroup, 8 x 4 per invocation; 32 of k at a time are staged through 16 KiB of workgroup memory.
// The next stage is fetched into registers while the current one is multiplied. LoRA's few columns come straight from memory.
// Slot of block `line` at k: k * 16 + (line ^ k / 4): the exclusive or spreads both the transposed stores and the loads over the banks.
var<workgroup> tile_a: array<vec4<f32>, 512>;
var<workgroup> tile_b: array<vec4<f32>, 512>;

// Which 4 x 4 block of a staged tile an invocation fetches: (k block, line block); neighbours follow what is contiguous in memory.
fn job(lane: u32, along_k: bool) -> vec2<u32> {
  return select(vec2<u32>(lane / 16u, lane % 16u), vec2<u32>(lane % 8u, lane / 8u), along_k);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tile = tile_of(group);
  let first_row = tile.y * 64u;
  let first_col = tile.x * 64u;
  let begin = group.z * params.chunk;
  let end = min(begin + params.chunk, params.k);
  let for_a = job(lane, variant != TN);
  let for_b = job(lane, variant == NT);
  let slot_a = for_a.x * 64u + (for_a.y ^ for_a.x);
  let slot_b = for_b.x * 64u + (for_b.y ^ for_b.x);
  let y = lane / 16u;
  let x = lane % 16u;
  let row = first_row + y * 4u; // and row + 32
  let col = first_col + x * 4u;
  var upper = mat4x4<f32>();
  var lower = mat4x4<f32>();
  var next_a: mat4x4<f32>;
  var next_b: mat4x4<f32>;
  var blocks = 0u; // of 4 k in the staged tile
  for (var start = begin; ; start += 32u) {
    if (start < end) {
      next_a = mat4x4<f32>();
      next_b = mat4x4<f32>();
      if (start + for_a.x * 4u < end) { next_a = a_block(first_row + for_a.y * 4u, start + for_a.x * 4u, end); }
      if (start + for_b.x * 4u < end) { next_b = b_block(start + for_b.x * 4u, first_col + for_b.y * 4u, end); }
    }
    if (start == begin) {
      if (has_lora_term) {
        let lora = lora_range(first_col, 64u);
        for (var q = lora.x; q < lora.y; q += 4u) {
          let right = right_block(q, col, lora.y);
          upper = multiply(upper, left_block(row, q, lora.y), right);
          lower = multiply(lower, left_block(row + 32u, q, lora.y), right);
        }
        upper = scale_lora(upper, row, col);
        lower = scale_lora(lower, row + 32u, col);
      }
    }
    for (var block = 0u; block < blocks; block++) {
      let at_upper = block * 64u + (y ^ block);
      let at_lower = block * 64u + ((y + 8u) ^ block);
      let at_b = block * 64u + (x ^ block);
      let right = mat4x4<f32>(tile_b[at_b], tile_b[at_b + 16u], tile_b[at_b + 32u], tile_b[at_b + 48u]);
      upper = multiply(upper, mat4x4<f32>(tile_a[at_upper], tile_a[at_upper + 16u], tile_a[at_upper + 32u], tile_a[at_upper + 48u]), right);
      lower = multiply(lower, mat4x4<f32>(tile_a[at_lower], tile_a[at_lower + 16u], tile_a[at_lower + 32u], tile_a[at_lower + 48u]), right);
    }
    if (start >= end) { break; }
    workgroupBarrier();
    tile_a[slot_a] = next_a[0];
    tile_a[slot_a + 16u] = next_a[1];
    tile_a[slot_a + 32u] = next_a[2];
    tile_a[slot_a + 48u] = next_a[3];
    tile_b[slot_b] = next_b[0];
    tile_b[slot_b + 16u] = next_b[1];
    tile_b[slot_b + 32u] = next_b[2];
    tile_b[slot_b + 48u] = next_b[3];
    workgroupBarrier();
    blocks = min(8u, (end - start + 3u) / 4u);
  }
  for (var i = 0u; i < 4u; i++) {
    finish(row + i, col, group.z, upper[i]);
    finish(row + 32u + i, col, group.z, lower[i]);
  }
}

// kernel: skinny
// 16 x 16 of c per workgroup: 16 invocations hold it in 4 x 4 blocks, 16 times over, each sixteenth taking every sixteenth block
// of k. For products with too few tiles of 64 x 64 to fill a GPU: decoding, LoRA's ranks. Loads come straight from memory
// (a block is read by few invocations) and don't wait for each other; one barrier before the sixteen sums are added in order.
var<workgroup> partials: array<vec4<f32>, 1024>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  // Neighbours follow what is contiguous in memory: k in NT, the columns otherwise.
  let slice = select(lane / 16u, lane % 16u, variant == NT);
  let block = select(lane % 16u, lane / 16u, variant == NT);
  let tile = tile_of(group);
  let row = tile.y * 16u + (block / 4u) * 4u;
  let col = tile.x * 16u + (block % 4u) * 4u;
  var sum = mat4x4<f32>();
  let lora = lora_range(tile.x * 16u, 16u);
  if (has_lora_term) {
    for (var q = lora.x + slice * 4u; q < lora.y; q += 64u) {
      sum = multiply(sum, left_block(row, q, lora.y), right_block(q, col, lora.y));
    }
    sum = scale_lora(sum, row, col);
  }
  let end = min((group.z + 1u) * params.chunk, params.k);
  for (var k = group.z * params.chunk + slice * 4u; k < end; k += 64u) {
    sum = multiply(sum, a_block(row, k, end), b_block(k, col, end));
  }
  // The exclusive or spreads the stores over the banks.
  let at = slice * 64u;
  let spread_by = slice % 8u;
  partials[at + (block ^ spread_by)] = sum[0];
  partials[at + 16u + (block ^ spread_by)] = sum[1];
  partials[at + 32u + (block ^ spread_by)] = sum[2];
  partials[at + 48u + (block ^ spread_by)] = sum[3];
  workgroupBarrier();
  if (lane < 64u) {
    var total = partials[lane];
    for (var s = 1u; s < 16u; s++) { total += partials[s * 64u + (lane ^ (s % 8u))]; }
    let done = lane % 16u;
    finish(tile.y * 16u + (done / 4u) * 4u + lane / 16u, tile.x * 16u + (done % 4u) * 4u, group.z, total);
  }
}
