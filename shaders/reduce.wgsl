// Fixed-order reductions: the same bytes on every run, since no float atomics are used.

// kernel: sum_chunks
//   target[i] = before + scale * sum_c partials[c, i], chunks added in order
struct Params { length: u32, chunks: u32, accumulate: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;     // [chunks, length]
@group(0) @binding(2) var<storage, read_write> result: array<f32>; // [length], overwritten, or added to when accumulate = 1

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.length) { return; }
  var sum = 0.0;
  for (var c = 0u; c < params.chunks; c++) { sum += partials[c * params.length + i]; }
  result[i] = select(0.0, result[i], params.accumulate == 1u) + params.scale * sum;
}
