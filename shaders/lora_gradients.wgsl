// The backward pass of a LoRA term for one chunk of 32 tokens per workgroup, in one pass over x and dy:
//   dz[t,q] = scale * sum_{o in segment(q)} dy[t,o] B[o, q mod rank]
//   partials[chunk] at a_offset: sum_t dz[t,q] drop(x)[t,j]          (dA, [width, in])
//   partials[chunk] at b_offset: scale * sum_t dy[t,o] z[t, segment(o) * rank + r]   (dB, [out, rank])
// The chunks' parts are laid out like the adapter's gradients, and are added to them in order by reduce.wgsl, all layers at once.
// All extents are multiples of four, and lengths, offsets and features here count vectors of four.
// include: random
// include: dropout

struct Params {
  tokens: u32, inputs: u32, outputs: u32, rank: u32, width: u32, scale: f32,
  segment_1: u32, segment_2: u32, segment_3: u32, // first feature of segments 1 to 3; `outputs` where there is none
  stride: u32, a_offset: u32, b_offset: u32,      // of `partials`
  dropout: f32, salt: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;              // [tokens, inputs]
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;             // [tokens, outputs]
@group(0) @binding(3) var<storage, read> z: array<vec4<f32>>;              // [tokens, width]
@group(0) @binding(4) var<storage, read> factor: array<vec4<f32>>;         // B [4 outputs, rank]
@group(0) @binding(5) var<storage, read_write> dz: array<vec4<f32>>;       // [tokens, width]
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>>; // [chunks, stride]

// kernel: chunk
const TOKENS = 32u;
const MOST = 8u; // of width
var<workgroup> tile_dz: array<vec4<f32>, TOKENS * MOST>; // [token, width]
var<workgroup> tile_z: array<vec4<f32>, TOKENS * MOST>;
var<workgroup> sums: array<vec4<f32>, 256>;

fn segment_start(s: u32) -> u32 {
  return min(params.outputs, select(select(select(params.segment_3, params.segment_2, s == 2u), params.segment_1, s == 1u), 0u, s == 0u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * TOKENS;
  let count = min(TOKENS, params.tokens - first);
  let cells = TOKENS * params.width;
  for (var i = lane; i < cells; i += 256u) {
    var v = vec4<f32>();
    if (i < count * params.width) { v = z[first * params.width + i]; }
    tile_z[i] = v;
  }

  // Eight invocations share a token's sum over the outputs.
  let token = lane / 8u;
  let part = lane % 8u;
  for (var q = 0u; q < params.width; q++) {
    let s = q / params.rank;
    let r = q % params.rank;
    var sum = vec4<f32>();
    if (token < count) {
      let stop = select(segment_start(s + 1u), params.outputs, s == 3u);
      for (var o = segment_start(s) + part; o < stop; o += 8u) {
        let g = dy[(first + token) * params.outputs + o];
        let at = o * 4u * params.rank + r;
        sum += g.x * factor[at] + g.y * factor[at + params.rank] + g.z * factor[at + 2u * params.rank] + g.w * factor[at + 3u * params.rank];
      }
    }
    sums[lane] = sum;
    workgroupBarrier();
    if (part == 0u) {
      for (var i = 1u; i < 8u; i++) { sum += sums[lane + i]; }
      sum *= params.scale;
      tile_dz[token * params.width + q] = sum;
      if (token < count) { dz[(first + token) * params.width + q] = sum; }
    }
    workgroupBarrier();
  }

  let base = group.x * params.stride;
  for (var i = lane; i < params.inputs * params.width; i += 256u) {
    let j = i % params.inputs;
    let q = i / params.inputs;
    var rows = mat4x4<f32>(); // column n: row 4q + n of dA
    for (var t = 0u; t < count; t++) {
      let at = (first + t) * params.inputs + j;
      var v = x[at];
      if (DROPOUT) { v *= keep4(at * 4u); }
      let d = tile_dz[t * params.width + q];
      rows = mat4x4<f32>(rows[0] + d.x * v, rows[1] + d.y * v, rows[2] + d.z * v, rows[3] + d.w * v);
    }
    for (var n = 0u; n < 4u; n++) { partials[base + params.a_offset + (q * 4u + n) * params.inputs + j] = rows[n]; }
  }
  for (var i = lane; i < params.outputs * params.rank; i += 256u) {
    let o = i % params.outputs;
    let r = i / params.outputs;
    let s = u32(o >= params.segment_1) + u32(o >= params.segment_2) + u32(o >= params.segment_3);
    var rows = mat4x4<f32>(); // column n: row 4o + n of dB
    for (var t = 0u; t < count; t++) {
      let g = dy[(first + t) * params.outputs + o];
      let v = tile_z[t * params.width + s * params.rank + r];
      rows = mat4x4<f32>(rows[0] + g.x * v, rows[1] + g.y * v, rows[2] + g.z * v, rows[3] + g.w * v);
    }
    for (var n = 0u; n < 4u; n++) { partials[base + params.b_offset + (o * 4u + n) * params.rank + r] = params.scale * rows[n]; }
  }
}
