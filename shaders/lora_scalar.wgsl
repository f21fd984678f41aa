// LoRA's operands in a product, for any rank: element by element, `count` of them (1 or more), zero beyond.
const LORA = true;
@group(0) @binding(6) var<storage, read> left: array<f32>;
@group(0) @binding(7) var<storage, read> right: array<f32>;

fn load_left(at: u32, count: u32) -> vec4<f32> {
  var v = vec4<f32>(left[at], 0.0, 0.0, 0.0);
  if (count > 1u) { v.y = left[at + 1u]; }
  if (count > 2u) { v.z = left[at + 2u]; }
  if (count > 3u) { v.w = left[at + 3u]; }
  return v;
}

fn load_right(at: u32, count: u32) -> vec4<f32> {
  var v = vec4<f32>(right[at], 0.0, 0.0, 0.0);
  if (count > 1u) { v.y = right[at + 1u]; }
  if (count > 2u) { v.z = right[at + 2u]; }
  if (count > 3u) { v.w = right[at + 3u]; }
  return v;
}

// Elements r to r + 3 of the row of B that starts at `row`; zeros outside [0, rank).
fn load_spread(row: u32, r: u32) -> vec4<f32> {
  var v = vec4<f32>();
  if (r < params.rank) { v.x = right[row + r]; }
  if (r + 1u < params.rank) { v.y = right[row + r + 1u]; }
  if (r + 2u < params.rank) { v.z = right[row + r + 2u]; }
  if (r + 3u < params.rank) { v.w = right[row + r + 3u]; }
  return v;
}
