// SwiGLU (Shazeer 2020): the gate and up halves of each row of gate_up.
//   y = silu(g) u           silu(g) = g s, s = 1 / (1 + exp(-g))
//   dg = dy u s (1 + g (1 - s))          du = dy silu(g)
// `Element` is f32, or vec4<f32> where the hidden width allows; `hidden` counts elements.
// include: element

struct Params { count: u32, hidden: u32 }
@group(0) @binding(0) var<uniform> params: Params;

// kernel: forward
@group(0) @binding(1) var<storage, read> gate_up: array<Element>;  // [tokens, 2 * hidden]
@group(0) @binding(2) var<storage, read_write> y: array<Element>;  // [tokens, hidden]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.count) { return; }
  let at = i + (i / params.hidden) * params.hidden;
  let g = gate_up[at];
  y[i] = g / (1.0 + exp(-g)) * gate_up[at + params.hidden];
}

// kernel: backward
@group(0) @binding(1) var<storage, read> gate_up: array<Element>;
@group(0) @binding(2) var<storage, read> dy: array<Element>;
@group(0) @binding(3) var<storage, read_write> d_gate_up: array<Element>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.count) { return; }
  let at = i + (i / params.hidden) * params.hidden;
  let g = gate_up[at];
  let s = 1.0 / (1.0 + exp(-g));
  let d = dy[i];
  d_gate_up[at] = d * gate_up[at + params.hidden] * s * (1.0 + g * (1.0 - s));
  d_gate_up[at + params.hidden] = d * g * s;
}
