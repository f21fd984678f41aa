// Mean of each row's hidden states over its own positions; padding after them is not read.
//   pooled[row_of[r], j] = 1 / n sum_{p < n} hidden[r, p, j],   n = lengths[row_of[r]]
// Rows of length 0 (they only fill up a micro-batch) write nothing.

// kernel: forward
struct Params { rows: u32, length: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> hidden: array<f32>;          // [rows, length, width]
@group(0) @binding(2) var<storage, read> row_of: array<u32>;          // [rows]
@group(0) @binding(3) var<storage, read> lengths: array<u32>;         // [pool], each at most `length` for the rows of this batch
@group(0) @binding(4) var<storage, read_write> pooled: array<f32>;    // [pool, width]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.rows * params.width) { return; }
  let r = i / params.width;
  let j = i % params.width;
  let n = lengths[row_of[r]];
  if (n == 0u) { return; }
  var sum = 0.0;
  for (var p = 0u; p < n; p++) { sum += hidden[(r * params.length + p) * params.width + j]; }
  pooled[row_of[r] * params.width + j] = sum / f32(n);
}
