// Adds what chunks of tokens gave to the gradients of a LoRA term, chunks in order:
//   dA[q,j] += sum_c partials_a[c,q,j]               dB[o,r] += scale * sum_c partials_b[c, o, segment(o) * rank + r]
// partials_b holds dy^T z for all segments; only the columns of a row's own segment are its gradient.

// kernel: add_gradients
struct Params {
  out: u32, rank: u32, width: u32, scale: f32, segment_1: u32, segment_2: u32, segment_3: u32,
  length_a: u32, length_b: u32, chunks_a: u32, chunks_b: u32, // a length of 0 leaves that gradient alone
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials_a: array<f32>; // [chunks_a, width, in]
@group(0) @binding(2) var<storage, read> partials_b: array<f32>; // [chunks_b, out, width]
@group(0) @binding(3) var<storage, read_write> d_a: array<f32>;  // [width, in]
@group(0) @binding(4) var<storage, read_write> d_b: array<f32>;  // [out, rank]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  var sum = 0.0;
  if (i < params.length_a) {
    for (var c = 0u; c < params.chunks_a; c++) { sum += partials_a[c * params.length_a + i]; }
    d_a[i] += sum;
  } else if (i < params.length_a + params.length_b) {
    let e = i - params.length_a;
    let o = e / params.rank;
    let segment = u32(o >= params.segment_1) + u32(o >= params.segment_2) + u32(o >= params.segment_3);
    let at = o * params.width + segment * params.rank + e % params.rank;
    for (var c = 0u; c < params.chunks_b; c++) { sum += partials_b[c * params.out * params.width + at]; }
    d_b[e] += params.scale * sum;
  }
}
