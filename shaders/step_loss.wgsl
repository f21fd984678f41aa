// The loss of a process reward model: binary cross-entropy of sigmoid(value) against a label y from 0 to 1, at the positions that
// have one. Formula and float64 twin: stepLossReference in src/nn/step-loss.ts.
//   loss = -y log sigmoid(v) - (1 - y) log(1 - sigmoid(v)) = max(v, 0) - y v + log(1 + exp(-|v|))      dloss/dv = sigmoid(v) - y
// include: rl

// kernel: step_loss
// A position without a label, or in an empty row, gets exact zeros. Labels lie in the plane of the returns: both are what the value
// head is to give; a position without one holds -1. The order of the contributions is that of the statistics row.
struct Params { rows: u32, length: u32, pool: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_of: array<u32>;               // [rows]
@group(0) @binding(2) var<storage, read> rollouts: array<Rollout>;         // [pool]
@group(0) @binding(3) var<storage, read> planes: array<f32>;               // [planes, pool, capacity]
@group(0) @binding(4) var<storage, read> value: array<f32>;                // [rows, length]
@group(0) @binding(5) var<storage, read_write> d_value: array<f32>;        // [rows, length]
@group(0) @binding(6) var<storage, read_write> contributions: array<f32>;  // [rows, length, ENTRIES]

const ENTRIES = 3u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.rows * params.length) { return; }
  d_value[i] = 0.0;
  let out = i * ENTRIES;
  for (var entry = 0u; entry < ENTRIES; entry++) { contributions[out + entry] = 0.0; }
  let row = row_of[i / params.length];
  if (row == EMPTY_ROW) { return; }
  let label = planes[(RETURNS * params.pool + row) * params.capacity + i % params.length];
  if (label < 0.0) { return; }

  let v = value[i];
  let small = exp(-abs(v)); // never overflows; sigmoid(|v|) = 1 / (1 + small)
  let score = select(small, 1.0, v >= 0.0) / (1.0 + small);
  d_value[i] = rollouts[row].weight * (score - label);

  contributions[out] = 1.0;
  contributions[out + 1u] = max(v, 0.0) - label * v + log(1.0 + small);
  contributions[out + 2u] = select(0.0, 1.0, (v >= 0.0) == (label >= 0.5));
}
