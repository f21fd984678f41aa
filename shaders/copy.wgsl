// kernel: columns
//   target[t, offset .. offset + width) = source[t, offset .. offset + width), rows of `stride` floats
struct Params { rows: u32, width: u32, stride: u32, offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.rows * params.width) { return; }
  let at = (i / params.width) * params.stride + params.offset + i % params.width;
  result[at] = source[at];
}
